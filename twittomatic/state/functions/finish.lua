-- finish: a job ends, or leaves its worker for now. An unused grant goes back in the same act, fenced or not.
local function done(c, a, iteration)
  redis.call('DEL', job_key(c, a.kind, a.user))
  count(c, iteration, a.kind .. '.done', 1)
  if not a.next then
    count(c, iteration, 'users.done', 1)
  elseif redis.call('EXISTS', job_key(c, a.next, a.user)) == 0 then
    redis.call('RPUSH', c .. 'q:' .. a.next, a.user)
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

-- `anew`: what was committed is lost, so the job begins at the beginning.
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
  requeue(c, a.kind, a.user, true)
end

local function delay(c, a, now)
  local key = job_key(c, a.kind, a.user)
  redis.call('HSET', key, 'clean', '1', 'state', 'delayed', 'note', a.reason or '')
  if a.counted then
    redis.call('HINCRBY', key, 'errors', 1)
  end
  local due = a.due and a.due or now + a.after
  redis.call('ZADD', c .. 'delay', int(due), member(a.kind, a.user))
end

function ops.finish(d, c, a, now)
  if a.grant then
    budget_give(d, a.grant[1], a.grant[2], a.grant[3], now)
  end
  if not owns(c, a) then
    return {'fenced'}
  end
  local iteration = iteration_of(c)
  release(c, a.kind, a.user)
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
