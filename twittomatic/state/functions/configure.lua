-- configure: what the crawl is. `keep` fields hold for its whole life once they are set; the rest is as asked last.
function ops.configure(_, c, a)
  for name, value in pairs(a.keep) do
    redis.call('HSETNX', c .. 'cfg', name, value)
  end
  for name, value in pairs(a.set) do
    redis.call('HSET', c .. 'cfg', name, value)
  end
  redis.call('HSETNX', c .. 'cfg', 'iteration', '1')
  redis.call('HSETNX', c .. 'cfg', 'state', 'running')
  if setting(c, 'traversal') == 'priority' then
    redis.call('HSET', c .. 'cfg', 'banded', '1')
  end
  local reply = {'ok'}
  for _, text in ipairs(redis.call('HGETALL', c .. 'cfg')) do
    reply[#reply + 1] = text
  end
  return reply
end
