-- admit: seeds. Marked seen and queued in any case (a job whose final is whole ends without a call); the position in
-- the seeds file is stored in the same act, so that a repeated load goes on where it stood; with the last act the
-- settings that say so. A limit of users holds for seeds too: what exceeds it goes to the frontier. Whoever this
-- iteration let in is queued again by a repeated load and not counted again.
local function may_enter(c, id, bucket, limit)
  if limit.room == FOREVER or redis.call('SISMEMBER', let_key(c, limit.iteration, bucket), id) == 1 then
    return true
  end
  if limit.room < 1 then
    return false
  end
  let_in(c, limit.iteration, bucket, id)
  limit.room = limit.room - 1
  limit.used = limit.used + 1
  return true
end

local function admit_seeds(c, a)
  local iteration = iteration_of(c)
  local limit = {room = room_left(c, iteration), used = 0, iteration = iteration}
  local ids, front, new, queued_new = {}, {}, 0, 0
  for _, entry in ipairs(a.ids) do
    local is_new = redis.call('SADD', c .. 's:' .. entry[2], entry[1])
    new = new + is_new
    if may_enter(c, entry[1], entry[2], limit) then
      ids[#ids + 1] = entry[1]
      queued_new = queued_new + is_new
    else
      front[#front + 1] = entry[1]
    end
  end
  push('RPUSH', c .. 'q:' .. a.kind, ids)
  push('RPUSH', c .. 'front', front)
  wake(c, a.kind, #ids)
  count(c, iteration, 'seeds', #ids)
  count(c, iteration, 'admitted', limit.room == FOREVER and queued_new or limit.used)
  count(c, iteration, 'left_out', #front)
  redis.call('HINCRBY', c .. 'cnt', 'seen', int(new))
  return queued_new, #ids - queued_new, #front
end

function ops.admit(_, c, a, now)
  if a.epoch and not leads(c, now, a.epoch) then
    return {'deposed'}
  end
  local new, already, left_out = 0, 0, 0
  if #a.ids > 0 then
    new, already, left_out = admit_seeds(c, a)
  end
  if a.position then
    redis.call('SET', c .. 'load', a.position)
  else
    redis.call('DEL', c .. 'load')
  end
  for name, value in pairs(a.done or {}) do
    redis.call('HSET', c .. 'cfg', name, value)
  end
  return {'ok', int(new), int(already), int(left_out)}
end
