-- What every function uses: time, settings, counters, wake tokens, the leader's check, replies.
-- d: prefix of the deployment; c: prefix of the crawl; a: the decoded arguments. Ids stay text, never through tonumber.
-- A library's code may read no globals while it is loaded, so nothing here is aliased to a local.
local ops = {}
local HOUR = 3600000
local REPLY_MS = 120000 -- how long the last reply of a thread is kept for a repeated call
local LEAD_MS = 10000 -- a leader that has not renewed for so long is deposed
local WHY_LENGTH = 1000
local JOURNAL_LENGTH = 100000
local WAKE_LENGTH = 64
local BOUND = 500 -- entries that one call looks at, at most
local FOREVER = 9000000000000000

local function int(number)
  return string.format('%.0f', number)
end

-- Keys that expire live by the server's clock; a test that moves ours must not lose them to the real one.
local function ttl(ms)
  return int(TEST and ms * 100 or ms)
end

local function now_ms(d)
  if TEST then
    local set = redis.call('GET', d .. 'clock')
    if set then
      return tonumber(set)
    end
  end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function setting(c, name)
  return redis.call('HGET', c .. 'cfg', name) or ''
end

local function number_of(c, name, otherwise)
  return tonumber(setting(c, name)) or otherwise
end

local function iteration_of(c)
  return setting(c, 'iteration')
end

-- Totals of one iteration: field <iteration>|<name>.
local function count(c, iteration, name, by)
  if by ~= 0 then
    redis.call('HINCRBY', c .. 'cnt', iteration .. '|' .. name, int(by))
  end
end

local function count_all(c, iteration, counts)
  for name, by in pairs(counts or {}) do
    count(c, iteration, name, by)
  end
end

local function wake(c, kind, tokens)
  local list = c .. 'wake:' .. kind
  local room = math.min(tokens, WAKE_LENGTH - redis.call('LLEN', list))
  for _ = 1, room do
    redis.call('RPUSH', list, '1')
  end
  if room > 0 then
    redis.call('PEXPIRE', list, ttl(HOUR))
  end
end

-- Push ids in blocks: unpack is bounded by Lua's stack.
local function push(command, list, ids)
  for first = 1, #ids, 1000 do
    redis.call(command, list, unpack(ids, first, math.min(first + 999, #ids)))
  end
end

-- Journal and message are one act; the message is the document with its position in the journal as first member.
local function announce(d, c, events)
  for _, event in ipairs(events or {}) do
    local channel, document = event[1], event[2]
    local pos = redis.call('XADD', c .. 'ev', 'MAXLEN', '~', int(JOURNAL_LENGTH), '*', 'event', document)
    redis.call('PUBLISH', d .. channel, '{"pos":"' .. pos .. '",' .. string.sub(document, 2))
  end
end

local function why(c, kind, id, state, reason)
  redis.call('LPUSH', c .. 'why', kind .. ' ' .. id .. ' ' .. state .. ' ' .. reason)
  redis.call('LTRIM', c .. 'why', 0, WHY_LENGTH - 1)
end

-- The leader's record, nil when nobody leads.
local function leader(c, now)
  local record = redis.call('HMGET', c .. 'lead', 'master', 'epoch', 'until', 'info')
  if record[1] and tonumber(record[3]) > now then
    return {master = record[1], epoch = record[2], expires = record[3], info = record[4]}
  end
  return nil
end

local function leads(c, now, epoch)
  local holder = leader(c, now)
  return holder ~= nil and holder.epoch == epoch
end

-- The lists in which users of a kind wait who were never started, in the order they are served: what a person asked
-- for, then the bands of the priority traversal from the best down.
local function waiting_lists(c, kind)
  local lists = {c .. 'q:' .. kind}
  if setting(c, 'banded') == '1' then
    for band = 15, 0, -1 do
      lists[#lists + 1] = c .. 'q:' .. kind .. ':' .. band
    end
  end
  return lists
end

-- The kinds that this crawl wants, as a set. What waits of another kind stays where it is.
local function wanted_kinds(c)
  local wanted = {}
  for kind in string.gmatch(setting(c, 'kinds'), '[^,]+') do
    wanted[kind] = true
  end
  return wanted
end

-- Nothing waits, nothing is held, nothing is being loaded, for the kinds that this crawl wants.
local function is_finished(c)
  if redis.call('EXISTS', c .. 'lease', c .. 'delay', c .. 'load') > 0 then
    return false
  end
  for kind in pairs(wanted_kinds(c)) do
    if redis.call('EXISTS', c .. 'r:' .. kind, unpack(waiting_lists(c, kind))) > 0 then
      return false
    end
  end
  return true
end

-- A call of a thread: the same nonce gets the same reply without a second effect; an older one, sent long ago and
-- delivered late, has no effect at all.
local function once(op, keys, args)
  local d, c, a = keys[1], keys[2], cjson.decode(args[1])
  local memory = d .. 'n:' .. a.worker .. ':' .. a.slot
  local last = redis.call('HMGET', memory, 'start', 'nonce', 'reply')
  if last[1] == a.start then
    if tonumber(last[2]) == a.nonce then
      return last[3]
    end
    if tonumber(last[2]) > a.nonce then
      return cjson.encode({'late'})
    end
  end
  local reply = cjson.encode(op(d, c, a, now_ms(d)))
  redis.call('HSET', memory, 'start', a.start, 'nonce', int(a.nonce), 'reply', reply)
  redis.call('PEXPIRE', memory, ttl(REPLY_MS))
  return reply
end

-- A call that reads, or that does no harm when it is done twice.
local function plain(op, keys, args)
  return cjson.encode(op(keys[1], keys[2], cjson.decode(args[1]), now_ms(keys[1])))
end
