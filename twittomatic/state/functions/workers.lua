-- workers: everybody who took a name, with the age of the last sign of life in ms.
function ops.workers(d, _, _, now)
  local list = {'ok'}
  local members = redis.call('ZRANGE', d .. 'wk', 0, -1, 'WITHSCORES')
  for i = 1, #members, 2 do
    local held = redis.call('HMGET', d .. 'w:' .. members[i], 'instance', 'info', 'jobs')
    if held[1] then
      list[#list + 1] = {members[i], held[1], held[2], held[3], int(now - tonumber(members[i + 1]))}
    end
  end
  return list
end
