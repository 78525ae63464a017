-- iterate: the frontier is on disk; drop it and close the iteration. 'busy' when work came in meanwhile.
function ops.iterate(_, c, a, now)
  if not leads(c, now, a.epoch) then
    return {'deposed'}
  end
  if setting(c, 'state') ~= 'done' then
    if not is_finished(c) then
      return {'busy'}
    end
    redis.call('UNLINK', c .. 'front')
    redis.call('HSET', c .. 'cfg', 'state', 'done')
  end
  return {'ok', int(number_of(c, 'iteration', 1) + 1)}
end
