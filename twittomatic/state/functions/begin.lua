-- begin: a crawl that was done starts its next iteration; one under way goes on with the one it has.
function ops.begin(_, c, a, now)
  if not leads(c, now, a.epoch) then
    return {'deposed'}
  end
  local iteration = number_of(c, 'iteration', 1)
  local state = setting(c, 'state')
  if state == 'done' then
    iteration = iteration + 1
  end
  if state ~= 'running' then
    redis.call('HSET', c .. 'cfg', 'state', 'running', 'iteration', int(iteration))
  end
  return {'ok', int(iteration)}
end
