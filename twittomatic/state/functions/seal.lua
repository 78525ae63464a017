-- seal: the files are whole and named; from here on only renames are missing. Without a nonce: it always writes, so
-- that waiting for its durability on this connection means something.
function ops.seal(_, c, a, now)
  if not owns(c, a) then
    return {'fenced'}
  end
  local key = job_key(c, a.kind, a.user)
  redis.call('HSET', key, 'sealed', '1', 'sealed_at', int(now))
  store_extents(key, a.extents)
  return {'ok'}
end
