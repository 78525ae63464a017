-- lift: a stopped credential may be tried again.
function ops.lift(d, _, a, now)
  redis.call('HDEL', limit_key(d, a.endpoint, a.credential), 'stop', 'stop_until')
  for _, endpoint in ipairs(redis.call('SMEMBERS', d .. 'rle')) do
    if redis.call('ZSCORE', d .. 'rlx:' .. endpoint, a.credential) then
      place(d, endpoint, a.credential, now)
    end
  end
  return {'ok'}
end
