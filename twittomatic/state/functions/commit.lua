-- commit: one page of a job is durable in the archive; progress, totals, found ids and journal in one act.
function ops.commit(d, c, a, now)
  if not owns(c, a) then
    return {'fenced'}
  end
  local key = job_key(c, a.kind, a.user)
  redis.call('HSET', key, 'seq', int(a.seq), 'attempts', '0', 'errors', '0')
  redis.call('HDEL', key, 'note')
  if a.cursor then
    redis.call('HSET', key, 'cursor', a.cursor)
  else
    redis.call('HDEL', key, 'cursor')
  end
  store_extents(key, a.extents)
  local iteration = iteration_of(c)
  count_all(c, iteration, a.counts)
  local discarded = 0
  for _, entry in ipairs(a.discarded or {}) do
    if redis.call('SADD', c .. 's:' .. entry[2], entry[1]) == 1 then
      discarded = discarded + 1
      if entry[3] then
        count(c, iteration, 'refused.' .. entry[3], 1)
      end
    end
  end
  if discarded > 0 then
    redis.call('HINCRBY', c .. 'cnt', 'seen', int(discarded))
  end
  local new = admit_all(c, a.found, iteration)
  announce(d, c, a.events)
  return {'ok', int(new)}
end
