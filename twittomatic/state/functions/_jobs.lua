-- Jobs: their hash, their lease, who owns them, and how they end badly.
local TWIN = {timeline = 'update', update = 'timeline'} -- two kinds that write one file of a user

local function member(kind, id)
  return kind .. ':' .. id
end

local function split(text)
  local kind, id = string.match(text, '^([^:]*):(.*)$')
  return kind, id
end

local function job_key(c, kind, id)
  return c .. 'j:' .. kind .. ':' .. id
end

-- An entry of q is an id; behind the id of a user of whom no job had anything to do so far stands a mark.
local IDLE_MARK = ' ='

local function entry_of(id, is_idle)
  return is_idle and id .. IDLE_MARK or id
end

local function user_of(entry)
  if string.sub(entry, -#IDLE_MARK) == IDLE_MARK then
    return string.sub(entry, 1, -#IDLE_MARK - 1), true
  end
  return entry, false
end

local function owns(c, a)
  local held = redis.call('HMGET', job_key(c, a.kind, a.user), 'token', 'state')
  return held[1] == a.token and held[2] == 'running'
end

local function lease_ms(c)
  return number_of(c, 'lease_seconds', 60) * 1000
end

-- Put a job whose hash exists back in line; at the head it is the next of its kind. One that needs a call of an
-- endpoint that gives nothing now wakes nobody.
local function requeue(c, kind, id, at_head, needs)
  redis.call('HSET', job_key(c, kind, id), 'state', 'parked')
  redis.call(at_head and 'LPUSH' or 'RPUSH', c .. 'r:' .. kind, id)
  if not needs then
    wake(c, kind, 1)
  end
end

-- Into `lease` or `delay`, and out again: beside each, how many jobs of a kind are in it, so that nobody has to read
-- it whole to know.
local function enlist(c, zset, kind, id, score)
  if redis.call('ZADD', c .. zset, int(score), member(kind, id)) == 1 then
    redis.call('HINCRBY', c .. 'now', zset .. ':' .. kind, 1)
  end
end

local function strike(c, zset, kind, id)
  if redis.call('ZREM', c .. zset, member(kind, id)) == 1 then
    redis.call('HINCRBY', c .. 'now', zset .. ':' .. kind, -1)
  end
end

-- Totals, reason and journal of a user that ended here.
local function settle_user(c, kind, id, state, reason, iteration)
  count(c, iteration, kind .. '.' .. state, 1)
  count(c, iteration, 'users.' .. state, 1)
  if reason ~= '' then
    count(c, iteration, 'reason.' .. reason, 1)
    why(c, kind, id, state, reason)
  end
end

-- A dead job keeps its hash, its part and what was answered, until a person decides.
local function bury(c, kind, id, reason, now)
  local iteration = iteration_of(c)
  redis.call('HSET', job_key(c, kind, id), 'state', 'dead', 'reason', reason, 'iteration', iteration)
  redis.call('ZADD', c .. 'dead', int(now), member(kind, id))
  settle_user(c, kind, id, 'dead', reason, iteration)
end

-- A lease that ran out (or whose worker is known to be dead): back in line, or dead after too many crashes.
-- Returns 'reaped', 'poisoned', or nil when the lease named no running job.
local function reap(d, c, text, is_counted, now)
  local kind, id = split(text)
  strike(c, 'lease', kind, id)
  local key = job_key(c, kind, id)
  local held = redis.call('HMGET', key, 'state', 'worker')
  if held[1] ~= 'running' then
    return nil
  end
  if is_counted and redis.call('HINCRBY', key, 'attempts', 1) >= number_of(c, 'max_attempts', 5) then
    bury(c, kind, id, 'poison', now)
    announce(d, c, {{'events.user.settled', cjson.encode({
      event = 'events.user.settled', crawl = setting(c, 'crawl'), at = math.floor(now / 1000), kind = kind, user = id,
      state = 'dead', reason = 'poison', worker = held[2] or '',
    })}})
    return 'poisoned'
  end
  requeue(c, kind, id, false)
  return 'reaped'
end

-- Everything a worker of this crawl held goes back in line at once.
local function reap_worker(d, c, worker, now)
  local freed = 0
  for _, text in ipairs(redis.call('ZRANGE', c .. 'lease', 0, -1)) do
    local kind, id = split(text)
    if redis.call('HGET', job_key(c, kind, id), 'worker') == worker then
      reap(d, c, text, true, now)
      freed = freed + 1
    end
  end
  return freed
end

-- Store what a page changed: cursor, place in the walk, files. An absent cursor is the start.
local function store_extents(key, extents)
  for suffix, extent in pairs(extents or {}) do
    redis.call('HSET', key, 'x:' .. suffix, extent)
  end
end

-- How many users may still be let in by this iteration.
local function room_left(c, iteration)
  local most = number_of(c, 'max_users', 0)
  if most == 0 then
    return FOREVER
  end
  return math.max(most - tonumber(redis.call('HGET', c .. 'cnt', iteration .. '|admitted') or '0'), 0)
end

-- Whom a limited iteration let in: to queue one of them again needs no room. What the iteration before left is dropped
-- on the way.
local function let_key(c, iteration, bucket)
  return c .. 'let:' .. iteration .. ':' .. bucket
end

local function let_in(c, iteration, bucket, id)
  redis.call('SADD', let_key(c, iteration, bucket), id)
  redis.call('UNLINK', let_key(c, int(tonumber(iteration) - 1), bucket))
end

-- An id that was found: queued by the traversal when it is new to the seen set. Returns true when it was new.
local function admit_found(c, id, bucket, band, plan)
  if redis.call('SADD', c .. 's:' .. bucket, id) == 0 then
    return false
  end
  if plan.traversal == 'default' or plan.room <= 0 then
    plan.front[#plan.front + 1] = id
    return true
  end
  if plan.room < FOREVER then
    let_in(c, plan.iteration, bucket, id)
    plan.room = plan.room - 1
  end
  plan.admitted = plan.admitted + 1
  local list = c .. 'q:' .. plan.start
  if plan.traversal == 'priority' then
    list = list .. ':' .. band
  end
  local ids = plan.lists[list] or {}
  if plan.traversal == 'dfs' then
    table.insert(ids, 1, id)
  else
    ids[#ids + 1] = id
  end
  plan.lists[list] = ids
  return true
end

-- Ids that a page brought up; returns how many were new.
local function admit_all(c, found, iteration)
  if not found or #found == 0 then
    return 0
  end
  local plan = {
    traversal = setting(c, 'traversal'), start = setting(c, 'start'), front = {}, lists = {}, admitted = 0,
    room = room_left(c, iteration), iteration = iteration,
  }
  local new = 0
  for _, entry in ipairs(found) do
    if admit_found(c, entry[1], entry[2], entry[3], plan) then
      new = new + 1
    end
  end
  push('RPUSH', c .. 'front', plan.front)
  for list, ids in pairs(plan.lists) do
    push(plan.traversal == 'dfs' and 'LPUSH' or 'RPUSH', list, ids)
  end
  if plan.admitted > 0 then
    wake(c, plan.start, plan.admitted)
  end
  count(c, iteration, 'admitted', plan.admitted)
  count(c, iteration, 'discovered', new)
  redis.call('HINCRBY', c .. 'cnt', 'seen', int(new))
  return new
end
