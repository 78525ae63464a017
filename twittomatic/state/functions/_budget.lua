-- Budgets. rl:<endpoint>:<credential> holds, per window kind w: w.limit, w.left (what the network has left, less what
-- is out on grant), w.reset (ms), w.out (granted in this window, unanswered), w.prev (the same, of the window before);
-- and early (granted before any window was known), probe (deadline of the one call that asks for unknown limits),
-- until (exhausted), free (no limits told), stop (reason). rlz: credentials worth trying, by reset; rlx: those to be tried again at a moment.
local PROBE_MS = 60000
local GRANT_SHARE = 8 -- a grant takes at most this part of what a window has left
local SAME_WINDOW_MS = 1000 -- resets are told in whole seconds and may wobble
local EVERYWHERE = '*' -- the endpoint under which a credential is stopped for all of them

local function limit_key(d, endpoint, credential)
  return d .. 'rl:' .. endpoint .. ':' .. credential
end

local function as_table(pairs_list)
  local fields = {}
  for i = 1, #pairs_list, 2 do
    fields[pairs_list[i]] = pairs_list[i + 1]
  end
  return fields
end

-- The books of a credential: its plain fields, and its windows by kind as numbers.
local function read_books(d, endpoint, credential)
  local fields = as_table(redis.call('HGETALL', limit_key(d, endpoint, credential)))
  local books = {fields = fields, windows = {}}
  for name, value in pairs(fields) do
    local kind, part = string.match(name, '^(.*)%.(%a+)$')
    if kind then
      local window = books.windows[kind] or {limit = 0, left = 0, reset = 0, out = 0, prev = 0}
      window[part] = tonumber(value)
      books.windows[kind] = window
    end
  end
  return books
end

local function write_window(d, endpoint, credential, kind, window)
  redis.call('HSET', limit_key(d, endpoint, credential), kind .. '.limit', int(window.limit),
    kind .. '.left', int(window.left), kind .. '.reset', int(window.reset), kind .. '.out', int(window.out),
    kind .. '.prev', int(window.prev))
end

-- When a stopped credential comes back (FOREVER: when a person says so), nil when it is not stopped.
local function stopped_until(d, credential, books, now)
  local till = tonumber(books.fields.stop_until or '0')
  if till > now then
    return till, books.fields.stop
  end
  local held = redis.call('HMGET', limit_key(d, EVERYWHERE, credential), 'stop', 'stop_until')
  if held[1] and tonumber(held[2]) > now then
    return tonumber(held[2]), held[1]
  end
  return nil
end

-- What a credential has: calls (nil: unlimited), whether only one probing call may be made, or until when it has none.
local function judge(d, credential, books, now)
  local stop, reason = stopped_until(d, credential, books, now)
  if stop then
    return {blocked = stop, reason = reason}
  end
  local limited_until = tonumber(books.fields['until'] or '0')
  if limited_until > now then
    return {blocked = limited_until, reason = 'limited'}
  end
  local probe = tonumber(books.fields.probe or '0')
  if probe > now then
    return {blocked = probe, reason = 'probing'}
  end
  local left, known, expired, soonest, blocked = FOREVER, false, false, FOREVER, 0
  for _, window in pairs(books.windows) do
    known = true
    if window.reset <= now then
      expired = true
    else
      left = math.min(left, window.left)
      soonest = math.min(soonest, window.reset)
      if window.left < 1 then
        blocked = math.max(blocked, window.reset)
      end
    end
  end
  if blocked > 0 then
    return {blocked = blocked, reason = 'limited'}
  end
  if not known and books.fields.free == '1' then
    return {reset = FOREVER}
  end
  if not known or expired then
    return {reset = 0, probing = true}
  end
  return {reset = soonest, left = left}
end

-- File a credential where claimers look for it.
local function place(d, endpoint, credential, now)
  local verdict = judge(d, credential, read_books(d, endpoint, credential), now)
  local open, shut = d .. 'rlz:' .. endpoint, d .. 'rlx:' .. endpoint
  if verdict.blocked then
    redis.call('ZREM', open, credential)
    redis.call('ZADD', shut, int(verdict.blocked), credential)
  else
    redis.call('ZREM', shut, credential)
    redis.call('ZADD', open, int(verdict.reset), credential)
  end
  return verdict
end

local function enroll(d, endpoint, credentials, now)
  redis.call('SADD', d .. 'rle', endpoint)
  for _, credential in ipairs(credentials) do
    if not redis.call('ZSCORE', d .. 'rlz:' .. endpoint, credential)
      and not redis.call('ZSCORE', d .. 'rlx:' .. endpoint, credential) then
      place(d, endpoint, credential, now)
    end
  end
end

-- Credentials whose moment has come are worth trying again.
local function revive(d, endpoint, now)
  local due = redis.call('ZRANGEBYSCORE', d .. 'rlx:' .. endpoint, '-inf', int(now), 'LIMIT', 0, BOUND)
  for _, credential in ipairs(due) do
    place(d, endpoint, credential, now)
  end
end

-- The first credential of ours in a zset, lowest score first, that passes `accept`.
local function first_of_ours(zset, ours, accept)
  local first = 0
  while true do
    local some = redis.call('ZRANGE', zset, first, first + BOUND - 1, 'WITHSCORES')
    for i = 1, #some, 2 do
      if ours[some[i]] then
        local found = accept(some[i], tonumber(some[i + 1]))
        if found then
          return found
        end
      end
    end
    if #some < 2 * BOUND then
      return nil
    end
    first = first + BOUND
  end
end

-- A grant of the credential of ours whose window resets first, nil when none has a call left.
local function open_offer(d, endpoint, calls, ours, now)
  return first_of_ours(d .. 'rlz:' .. endpoint, ours, function(credential)
    local books = read_books(d, endpoint, credential)
    local verdict = judge(d, credential, books, now)
    if verdict.blocked then
      return nil
    end
    local most = calls
    if verdict.probing then
      most = 1
    elseif verdict.left then
      most = math.max(1, math.min(calls, math.ceil(verdict.left / GRANT_SHARE)))
    end
    return {endpoint = endpoint, credential = credential, calls = most, probing = verdict.probing, books = books}
  end)
end

-- What could be granted now, or until when to wait. Nothing is taken before budget_accept. Credentials that nobody has
-- used yet are enrolled when those in use have nothing left.
local function budget_offer(d, endpoint, calls, credentials, now)
  local ours = {}
  for _, credential in ipairs(credentials) do
    ours[credential] = true
  end
  revive(d, endpoint, now)
  local offer = open_offer(d, endpoint, calls, ours, now)
  if not offer then
    enroll(d, endpoint, credentials, now)
    offer = open_offer(d, endpoint, calls, ours, now)
  end
  if offer then
    return offer
  end
  return first_of_ours(d .. 'rlx:' .. endpoint, ours, function(credential, score)
    local verdict = judge(d, credential, read_books(d, endpoint, credential), now)
    return {wait = verdict.blocked or score, reason = verdict.reason or 'limited'}
  end) or {wait = FOREVER, reason = 'no credential'}
end

local function budget_accept(d, offer, now)
  local endpoint, credential, books = offer.endpoint, offer.credential, offer.books
  for kind, window in pairs(books.windows) do
    window.left = window.left - offer.calls
    window.out = window.out + offer.calls
    write_window(d, endpoint, credential, kind, window)
  end
  local key = limit_key(d, endpoint, credential)
  if not next(books.windows) then
    redis.call('HINCRBY', key, 'early', int(offer.calls))
  end
  if offer.probing then
    redis.call('HSET', key, 'probe', int(now + PROBE_MS))
  end
  place(d, endpoint, credential, now)
end

-- Calls that are no longer out, of this window first: what a dead worker had stays behind in the window before, and is
-- forgotten with it. Returns how many were on the books.
local function called_back(window, calls)
  local new = math.min(window.out, calls)
  window.out = window.out - new
  local old = math.min(window.prev, calls - new)
  window.prev = window.prev - old
  return new + old
end

-- What is left of the calls that were granted before any window was known.
local function early_left(books, calls)
  return math.max(tonumber(books.fields.early or '0') - calls, 0)
end

local function budget_give(d, endpoint, credential, calls, now)
  local books = read_books(d, endpoint, credential)
  if not next(books.windows) then
    redis.call('HSET', limit_key(d, endpoint, credential), 'early', int(early_left(books, calls)))
  end
  for kind, window in pairs(books.windows) do
    window.left = math.min(window.left + called_back(window, calls), window.limit)
    write_window(d, endpoint, credential, kind, window)
  end
  redis.call('HDEL', limit_key(d, endpoint, credential), 'probe')
  place(d, endpoint, credential, now)
end

-- One window as a header told it, against ours: of the same window the smaller counts, of a new one theirs less what
-- is out on grant; an answer from an older window says nothing.
local function correct(window, limit, remaining, reset)
  if reset > window.reset + SAME_WINDOW_MS then
    window.left = remaining - window.out
    window.prev, window.out = window.out, 0
    window.reset, window.limit = reset, limit
  elseif reset >= window.reset - SAME_WINDOW_MS then
    window.left = math.min(window.left, remaining)
    window.reset, window.limit = math.max(reset, window.reset), limit
  end
end
