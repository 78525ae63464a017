-- finish: a job ends, or leaves its worker for now. An unused grant goes back in the same act, fenced or not.
-- A user of whom no job of the chain had anything to do is counted as users.already, not as users.done: a doubled
-- seed, or one that an earlier crawl of this archive brought to its end.
local function done(c, a, iteration)
  local key = job_key(c, a.kind, a.user)
  local is_idle = ((a.counts or {})[a.kind .. '.already'] or 0) > 0 and redis.call('HGET', key, 'worked') ~= '1'
  redis.call('DEL', key)
  count(c, iteration, a.kind .. '.done', 1)
  if not a.next then
    count(c, iteration, is_idle and 'users.already' or 'users.done', 1)
  elseif redis.call('EXISTS', job_key(c, a.next, a.user)) == 0 then
    redis.call('RPUSH', c .. 'q:' .. a.next, entry_of(a.user, is_idle))
    wake(c, a.next, 1)
  end
end

local function gone(c, a, iteration)
  redis.call('DEL', job_key(c, a.kind, a.user))
  settle_user(c, a.kind, a.user, 'gone', a.reason, iteration)
end

local function dead(c, a, now)
  redis.call('HSET', job_key(c, a.kind, a.user), 'clean', '1', 'sample', a.sample or '')
  bury(c, a.kind, a.user, a.reason, now)
end

-- `anew`: what was committed is lost, so the job begins at the beginning. `needs`: an endpoint without which the job
-- cannot go on; it is not handed out before that gives a call.
local function park(c, a)
  local key = job_key(c, a.kind, a.user)
  redis.call('HSET', key, 'clean', '1', 'note', a.reason or '')
  if a.anew then
    for _, name in ipairs(redis.call('HKEYS', key)) do
      if string.sub(name, 1, 2) == 'x:' then
        redis.call('HDEL', key, name)
      end
    end
    redis.call('HDEL', key, 'cursor', 'sealed', 'sealed_at')
    redis.call('HSET', key, 'seq', '0')
  end
  if a.needs then
    redis.call('HSET', key, 'needs', a.needs)
  end
  requeue(c, a.kind, a.user, true, a.needs)
end

local function delay(c, a, now)
  local key = job_key(c, a.kind, a.user)
  redis.call('HSET', key, 'clean', '1', 'state', 'delayed', 'note', a.reason or '')
  if a.counted then
    redis.call('HINCRBY', key, 'errors', 1)
  end
  enlist(c, 'delay', a.kind, a.user, a.due or now + a.after)
end

function ops.finish(d, c, a, now)
  if a.grant then
    budget_give(d, a.grant[1], a.grant[2], a.grant[3], now)
  end
  if not owns(c, a) then
    return {'fenced'}
  end
  local iteration = iteration_of(c)
  strike(c, 'lease', a.kind, a.user)
  count_all(c, iteration, a.counts)
  if a.outcome == 'done' then
    done(c, a, iteration)
  elseif a.outcome == 'gone' then
    gone(c, a, iteration)
  elseif a.outcome == 'dead' then
    dead(c, a, now)
  elseif a.outcome == 'park' then
    park(c, a)
  else
    delay(c, a, now)
  end
  announce(d, c, a.events)
  return {'ok'}
end
