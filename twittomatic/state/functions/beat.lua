-- beat: all leases of a process are renewed, and the process shows that it lives. Returns the tokens that it lost.
function ops.beat(d, c, a, now)
  local expires = now + lease_ms(c)
  local lost = {'ok'}
  for _, held in ipairs(a.jobs) do
    if owns(c, {kind = held[1], user = held[2], token = held[3]}) then
      enlist(c, 'lease', held[1], held[2], expires)
    else
      lost[#lost + 1] = held[3]
    end
  end
  local record = d .. 'w:' .. a.worker
  if a.instance == '' or redis.call('HGET', record, 'instance') == a.instance then
    if redis.call('EXISTS', record) == 1 then
      redis.call('HSET', record, 'jobs', int(#a.jobs), 'beat', int(now))
      redis.call('ZADD', d .. 'wk', int(now), a.worker)
    end
  end
  return lost
end
