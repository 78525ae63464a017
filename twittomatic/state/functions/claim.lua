-- claim: pop the next user of the first kind that has work and budget, lease it, make its token.
local CLAIM_LOOKS = 50

-- Whether a job waits for the user's job of the other kind, which writes the same file. They never run together; of
-- two that wait exactly one goes first: the one that is sealed, else the timeline. One of a kind that nobody hands out
-- is not waited for.
local function waits_for_twin(c, kind, id, is_sealed, wanted)
  local twin = TWIN[kind]
  if not twin then
    return false
  end
  local other = redis.call('HMGET', job_key(c, twin, id), 'state', 'sealed')
  if not other[1] or other[1] == 'dead' then
    return false
  end
  if other[1] == 'running' then
    return true
  end
  if not wanted[twin] then
    return false
  end
  local other_sealed = other[2] == '1'
  if is_sealed ~= other_sealed then
    return other_sealed
  end
  return kind == 'update'
end

-- Whether an entry of q or r may start now; 'later' sends it to the tail of its list.
local function startable(c, kind, id, is_resumed, wanted)
  local held = redis.call('HMGET', job_key(c, kind, id), 'state', 'sealed')
  if is_resumed then
    if held[1] ~= 'parked' then
      return 'drop'
    end
  elseif held[1] then
    return 'drop'
  end
  return waits_for_twin(c, kind, id, held[2] == '1', wanted) and 'later' or 'start'
end

-- The first job that may start, and whether an earlier job of its user did something (nil: its hash says).
local function pop_startable(c, kind, lists, wanted)
  local looks, resume = 0, c .. 'r:' .. kind
  for _, list in ipairs(lists) do
    local left = redis.call('LLEN', list)
    while left > 0 and looks < CLAIM_LOOKS do
      local entry = redis.call('LPOP', list)
      local id, is_idle = user_of(entry)
      local verdict = startable(c, kind, id, list == resume, wanted)
      if verdict == 'start' then
        return id, list ~= resume and not is_idle and kind ~= setting(c, 'start')
      end
      if verdict == 'later' then
        redis.call('RPUSH', list, entry)
      end
      left = left - 1
      looks = looks + 1
    end
  end
  return nil
end

-- A job to resume that can do without the calls which nobody has now: a sealed one, of which only the renames are
-- missing, or one that was not parked for them. Those that were stay where they are.
local function pop_without_calls(c, want, wanted)
  local resume = c .. 'r:' .. want.kind
  for _, id in ipairs(redis.call('LRANGE', resume, 0, CLAIM_LOOKS - 1)) do
    local held = redis.call('HMGET', job_key(c, want.kind, id), 'sealed', 'needs')
    if (held[1] == '1' or not (want.endpoint or held[2])) and startable(c, want.kind, id, true, wanted) == 'start' then
      redis.call('LREM', resume, 1, id)
      return id
    end
  end
  return nil
end

-- What a job of this kind must be granted: the calls that it begins with; or, of a kind that begins without, those for
-- which the next to resume was parked. While these are not to be had nothing new of the kind is begun either.
local function endpoint_of(c, want)
  if want.endpoint then
    return want.endpoint
  end
  local head = redis.call('LINDEX', c .. 'r:' .. want.kind, 0)
  return head and redis.call('HGET', job_key(c, want.kind, head), 'needs') or nil
end

local function lease_job(c, a, kind, id, worked, now)
  local key = job_key(c, kind, id)
  local token = int(redis.call('INCR', c .. 'fence')) .. '-' .. a.random
  local had = redis.call('HMGET', key, 'cursor', 'seq', 'clean', 'sealed', 'attempts', 'errors', 'note')
  local job = {
    kind = kind, user = id, token = token, cursor = had[1] or nil, seq = had[2] or '0', clean = had[3] or '1',
    sealed = had[4] or '0', attempts = had[5] or '0', errors = had[6] or '0', note = had[7] or '',
  }
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 2) == 'x:' then
      job[fields[i]] = fields[i + 1]
    end
  end
  redis.call('HSET', key, 'token', token, 'worker', a.worker, 'state', 'running', 'clean', '0')
  redis.call('HDEL', key, 'needs')
  if worked then
    redis.call('HSET', key, 'worked', '1')
  end
  enlist(c, 'lease', kind, id, now + lease_ms(c))
  return job
end

-- Lists of a kind with work in them; a draining crawl begins nothing new.
local function lists_with_work(c, kind, is_draining)
  local lists = {c .. 'r:' .. kind}
  if not is_draining then
    for _, list in ipairs(waiting_lists(c, kind)) do
      lists[#lists + 1] = list
    end
  end
  local found = {}
  for _, list in ipairs(lists) do
    if redis.call('EXISTS', list) == 1 then
      found[#found + 1] = list
    end
  end
  return found
end

-- A job of one kind with its grant; or nil, and the offer that makes its jobs wait.
local function claim_kind(d, c, a, want, lists, wanted, now)
  local kind, endpoint = want.kind, endpoint_of(c, want)
  local offer = endpoint and budget_offer(d, endpoint, math.max(want.calls, 1), a.credentials, now) or nil
  local is_waiting = offer and offer.wait
  local id, worked
  if is_waiting then
    id = pop_without_calls(c, want, wanted)
  else
    id, worked = pop_startable(c, kind, lists, wanted)
  end
  if not id then
    return nil, is_waiting and {kind, endpoint, int(offer.wait), offer.reason}
  end
  local takes = offer and not is_waiting
    and (want.endpoint or redis.call('HGET', job_key(c, kind, id), 'needs') == endpoint)
  local job = lease_job(c, a, kind, id, worked, now)
  if takes then
    budget_accept(d, offer, now)
    job.grant = {offer.endpoint, offer.credential, int(offer.calls)}
  end
  return job
end

function ops.claim(d, c, a, now)
  local paused = redis.call('EXISTS', c .. 'paused')
  local draining = redis.call('EXISTS', c .. 'drain')
  local idle = {'idle', paused, draining}
  if paused == 1 then
    return idle
  end
  local wanted = wanted_kinds(c)
  for _, want in ipairs(a.wants) do
    local lists = wanted[want.kind] and lists_with_work(c, want.kind, draining == 1) or {}
    if #lists > 0 then
      local job, waits = claim_kind(d, c, a, want, lists, wanted, now)
      if job then
        return {'job', job}
      end
      idle[#idle + 1] = waits or nil
    end
  end
  return idle
end
