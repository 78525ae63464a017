-- stop: a credential makes no more calls (of one endpoint, or at all) until a moment, or until a person lifts it.
function ops.stop(d, _, a, now)
  redis.call('HSET', limit_key(d, a.endpoint, a.credential), 'stop', a.reason, 'stop_until', int(a.till or FOREVER))
  if a.endpoint == EVERYWHERE then
    for _, endpoint in ipairs(redis.call('SMEMBERS', d .. 'rle')) do
      place(d, endpoint, a.credential, now)
    end
  else
    redis.call('SADD', d .. 'rle', a.endpoint)
    place(d, a.endpoint, a.credential, now)
  end
  return {'ok'}
end
