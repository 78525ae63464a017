-- leave: a worker gives its name back.
function ops.leave(d, _, a)
  local record = d .. 'w:' .. a.worker
  if redis.call('HGET', record, 'instance') == a.instance then
    redis.call('DEL', record)
    redis.call('ZREM', d .. 'wk', a.worker)
  end
  return {'ok'}
end
