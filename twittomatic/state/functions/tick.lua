-- tick: the master's round. Due jobs go back in line, dead workers' leases are reaped; bounded, so call it again while
-- it reports full hands. After a time without ticks (server or masters away) nobody could renew a lease: for one lease
-- nothing is reaped, and what ran out meanwhile is nobody's crash.
local WORKER_FORGOTTEN_MS = 24 * HOUR

local function due_jobs(c, now)
  local due = redis.call('ZRANGEBYSCORE', c .. 'delay', '-inf', int(now), 'LIMIT', 0, BOUND)
  for _, text in ipairs(due) do
    local kind, id = split(text)
    strike(c, 'delay', kind, id)
    if redis.call('HGET', job_key(c, kind, id), 'state') == 'delayed' then
      requeue(c, kind, id, false)
    end
  end
  return #due
end

local function expired_leases(d, c, now, excused_until)
  local reaped, poisoned = 0, 0
  local expired = redis.call('ZRANGEBYSCORE', c .. 'lease', '-inf', int(now), 'WITHSCORES', 'LIMIT', 0, BOUND)
  for i = 1, #expired, 2 do
    local result = reap(d, c, expired[i], tonumber(expired[i + 1]) >= excused_until, now)
    reaped = reaped + (result == 'reaped' and 1 or 0)
    poisoned = poisoned + (result == 'poisoned' and 1 or 0)
  end
  return reaped, poisoned, #expired == 2 * BOUND
end

local function forget_workers(d, now)
  local old = redis.call('ZRANGEBYSCORE', d .. 'wk', '-inf', int(now - WORKER_FORGOTTEN_MS), 'LIMIT', 0, BOUND)
  for _, worker in ipairs(old) do
    redis.call('ZREM', d .. 'wk', worker)
    redis.call('DEL', d .. 'w:' .. worker)
  end
end

function ops.tick(d, c, a, now)
  if not leads(c, now, a.epoch) then
    return {'deposed'}
  end
  local lease = lease_ms(c)
  local last = number_of(c, 'ticked', 0)
  local excused_until = number_of(c, 'excused_until', 0)
  if now - last > lease / 2 then
    excused_until = now + lease
  end
  redis.call('HSET', c .. 'cfg', 'ticked', int(now), 'excused_until', int(excused_until))
  local due = due_jobs(c, now)
  local reaped, poisoned, is_full = 0, 0, false
  if now >= excused_until then
    reaped, poisoned, is_full = expired_leases(d, c, now, excused_until)
  end
  forget_workers(d, now)
  if redis.call('EXISTS', c .. 'drain') == 1 and redis.call('EXISTS', c .. 'lease') == 0
    and setting(c, 'state') == 'running' then
    redis.call('HSET', c .. 'cfg', 'state', 'drained')
  end
  return {'ok', int(reaped), int(due), int(poisoned), (is_full or due == BOUND) and '1' or '0'}
end
