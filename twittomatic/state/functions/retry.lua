-- retry: dead jobs go back in line as if they had never failed; one that died of its cursor walks anew from the start
-- of its list and keeps what it has. Looks at a bounded stretch from `skip` on; returns how
-- many moved and where to go on, or -1 at the end.
function ops.retry(_, c, a)
  local stretch = redis.call('ZRANGE', c .. 'dead', int(a.skip), int(a.skip + BOUND - 1))
  local moved = 0
  local looked = 0
  for _, text in ipairs(stretch) do
    if moved >= a.limit then
      break
    end
    looked = looked + 1
    local kind, id = split(text)
    local key = job_key(c, kind, id)
    local reason = redis.call('HGET', key, 'reason') or ''
    if (not a.kind or a.kind == kind) and (not a.reason or a.reason == reason) then
      local iteration = redis.call('HGET', key, 'iteration') or iteration_of(c)
      count(c, iteration, kind .. '.dead', -1)
      count(c, iteration, 'users.dead', -1)
      count(c, iteration, 'reason.' .. reason, -1)
      redis.call('HSET', key, 'attempts', '0', 'errors', '0')
      redis.call('HDEL', key, 'reason', 'iteration', 'sample')
      if reason == a.cursor_refused then
        redis.call('HDEL', key, 'cursor')
      end
      redis.call('ZREM', c .. 'dead', text)
      requeue(c, kind, id, false)
      moved = moved + 1
    end
  end
  local is_over = #stretch < BOUND and looked == #stretch
  return {'ok', int(moved), is_over and '-1' or int(a.skip + looked - moved)}
end
