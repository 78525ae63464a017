-- finished: whether the iteration is over, judged in one place at one moment.
function ops.finished(_, c, a, now)
  if not leads(c, now, a.epoch) then
    return {'deposed'}
  end
  return {'ok', is_finished(c) and '1' or '0'}
end
