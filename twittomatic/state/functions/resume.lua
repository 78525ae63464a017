-- resume: hand out work again, and wake those who wait for it.
function ops.resume(_, c, a)
  redis.call('DEL', c .. 'paused', c .. 'drain')
  if setting(c, 'state') == 'drained' then
    redis.call('HSET', c .. 'cfg', 'state', 'running')
  end
  for _, kind in ipairs(a.kinds) do
    wake(c, kind, WAKE_LENGTH)
  end
  return {'ok'}
end
