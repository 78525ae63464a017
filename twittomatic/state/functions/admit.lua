-- admit: seeds. Marked seen and queued in any case (a job whose final is whole ends without a call); the position in
-- the seeds file is stored in the same act, so that a repeated load goes on where it stood.
function ops.admit(_, c, a, now)
  if a.epoch and not leads(c, now, a.epoch) then
    return {'deposed'}
  end
  local ids, new = {}, 0
  for _, entry in ipairs(a.ids) do
    new = new + redis.call('SADD', c .. 's:' .. entry[2], entry[1])
    ids[#ids + 1] = entry[1]
  end
  if #ids > 0 then
    push('RPUSH', c .. 'q:' .. a.kind, ids)
    wake(c, a.kind, #ids)
    local iteration = iteration_of(c)
    count(c, iteration, 'seeds', #ids)
    count(c, iteration, 'admitted', new)
    if new > 0 then
      redis.call('HINCRBY', c .. 'cnt', 'seen', int(new))
    end
  end
  if a.position then
    redis.call('SET', c .. 'load', a.position)
  else
    redis.call('DEL', c .. 'load')
  end
  return {'ok', int(new), int(#ids - new)}
end
