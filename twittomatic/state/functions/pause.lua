-- pause: hand out nothing (paused), or nothing that was not begun (drain).
function ops.pause(_, c, a, now)
  redis.call('SET', c .. a.flag, int(now))
  return {'ok'}
end
