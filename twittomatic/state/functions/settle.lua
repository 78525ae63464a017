-- settle: calls were answered: correct the books by the headers, write the ledger, count what it cost.

-- Days since 1970-01-01 as a date of the Gregorian calendar.
local function utc_day(now)
  local z = math.floor(now / 86400000) + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d-%02d-%02d', year, month, doy - math.floor((153 * mp + 2) / 5) + 1)
end

local function write_ledger(d, c, a, now)
  local ledger = d .. 'led:' .. utc_day(now)
  local iteration = iteration_of(c)
  for what, number in pairs(a.book) do
    if number > 0 then
      redis.call('HINCRBY', ledger, a.row .. '|' .. what, int(number))
      if what ~= 'requests' and what ~= 'cost_micro' then
        count(c, iteration, 'resource.' .. what, number)
      end
    end
  end
  count_all(c, iteration, {requests = a.requests, cost_micro = a.book.cost_micro})
end

local function correct_windows(d, a, books)
  local key = limit_key(d, a.endpoint, a.credential)
  for _, window in pairs(books.windows) do
    called_back(window, a.requests)
  end
  local early = early_left(books, a.requests)
  for _, told in ipairs(a.windows) do
    local kind, limit, left, reset = told[1], told[2], told[3], told[4]
    local window = books.windows[kind] or {limit = limit, left = left - early, reset = reset, out = early, prev = 0}
    correct(window, limit, left, reset)
    books.windows[kind] = window
  end
  for kind, window in pairs(books.windows) do
    write_window(d, a.endpoint, a.credential, kind, window)
  end
  if next(books.windows) then
    redis.call('HDEL', key, 'free', 'early')
  else
    redis.call('HSET', key, 'early', int(early))
    if a.answered then
      redis.call('HSET', key, 'free', '1')
    end
  end
end

function ops.settle(d, c, a, now)
  redis.call('SADD', d .. 'rle', a.endpoint)
  local key = limit_key(d, a.endpoint, a.credential)
  local books = read_books(d, a.endpoint, a.credential)
  correct_windows(d, a, books)
  redis.call('HDEL', key, 'probe')
  if a.exhausted_until then
    redis.call('HSET', key, 'until', int(math.max(a.exhausted_until, now + 1000)))
    redis.call('HDEL', key, 'free')
  end
  local verdict = place(d, a.endpoint, a.credential, now)
  if books.fields.probe and not verdict.blocked then
    wake(c, a.kind, WAKE_LENGTH)
  end
  write_ledger(d, c, a, now)
  return {'ok'}
end
