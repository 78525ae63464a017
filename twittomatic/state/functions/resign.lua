-- resign: the leader leaves, so that a standby need not wait.
function ops.resign(_, c, a, now)
  if leads(c, now, a.epoch) then
    redis.call('DEL', c .. 'lead')
  end
  return {'ok'}
end
