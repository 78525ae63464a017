-- windows: the books of every credential on every endpoint, for people to read.
function ops.windows(d, _, _, now)
  local rows = {'ok'}
  for _, endpoint in ipairs(redis.call('SMEMBERS', d .. 'rle')) do
    for _, zset in ipairs({'rlz:', 'rlx:'}) do
      for _, credential in ipairs(redis.call('ZRANGE', d .. zset .. endpoint, 0, BOUND - 1)) do
        local books = read_books(d, endpoint, credential)
        local verdict = judge(d, credential, books, now)
        local windows = {}
        for kind, window in pairs(books.windows) do
          windows[#windows + 1] = {kind, int(window.limit), int(window.left), int(window.reset), int(window.out)}
        end
        rows[#rows + 1] = {
          endpoint, credential, windows, verdict.blocked and int(verdict.blocked) or '', verdict.reason or '',
          verdict.probing and '1' or '0',
        }
      end
    end
  end
  return rows
end
