-- register: a worker takes its name. A name that somebody alive holds is refused; whoever held it before and is known
-- to be dead (or has been silent for a lease) loses its leases at once.
function ops.register(d, c, a, now)
  local record = d .. 'w:' .. a.worker
  local held = redis.call('HMGET', record, 'instance', 'beat', 'info')
  if held[1] and held[1] ~= a.instance then
    local is_alive = tonumber(held[2]) + lease_ms(c) > now
    if is_alive and held[1] ~= a.replaces then
      return {'held', held[3]}
    end
    reap_worker(d, c, a.worker, now)
  end
  redis.call('DEL', record)
  redis.call('HSET', record, 'instance', a.instance, 'info', a.info, 'beat', int(now), 'jobs', '0')
  redis.call('ZADD', d .. 'wk', int(now), a.worker)
  return {'ok', a.instance}
end
