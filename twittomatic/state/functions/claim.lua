-- claim: pop the next user of the first kind that has work and budget, lease it, make its token.
local CLAIM_LOOKS = 50

-- Whether an entry of q or r may start now; 'later' sends it to the tail of its list.
local function startable(c, kind, id, is_resumed)
  local state = redis.call('HGET', job_key(c, kind, id), 'state')
  if is_resumed then
    if state ~= 'parked' then
      return 'drop'
    end
  elseif state then
    return 'drop'
  end
  local twin = TWIN[kind]
  if twin then
    local other = redis.call('HGET', job_key(c, twin, id), 'state')
    if other and other ~= 'dead' then
      return 'later'
    end
  end
  return 'start'
end

local function pop_startable(c, kind, lists, resume)
  local looks = 0
  for _, list in ipairs(lists) do
    local left = redis.call('LLEN', list)
    while left > 0 and looks < CLAIM_LOOKS do
      local id = redis.call('LPOP', list)
      local verdict = startable(c, kind, id, list == resume)
      if verdict == 'start' then
        return id
      end
      if verdict == 'later' then
        redis.call('RPUSH', list, id)
      end
      left = left - 1
      looks = looks + 1
    end
  end
  return nil
end

-- A sealed job needs no call: only its renames are missing.
local function sealed_head(c, kind)
  local id = redis.call('LINDEX', c .. 'r:' .. kind, 0)
  if id and redis.call('HGET', job_key(c, kind, id), 'sealed') == '1' then
    return id
  end
  return nil
end

local function lease_job(c, a, kind, id, now)
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
  redis.call('ZADD', c .. 'lease', int(now + lease_ms(c)), member(kind, id))
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

function ops.claim(d, c, a, now)
  local paused = redis.call('EXISTS', c .. 'paused')
  local draining = redis.call('EXISTS', c .. 'drain')
  local idle = {'idle', paused, draining}
  if paused == 1 then
    return idle
  end
  for _, want in ipairs(a.wants) do
    local kind = want.kind
    local lists = lists_with_work(c, kind, draining == 1)
    if #lists > 0 then
      local offer = want.endpoint and budget_offer(d, want.endpoint, want.calls, a.credentials, now) or nil
      local id
      if offer and offer.wait then
        id = sealed_head(c, kind)
        if id then
          redis.call('LPOP', c .. 'r:' .. kind)
        else
          idle[#idle + 1] = {kind, want.endpoint, int(offer.wait), offer.reason}
        end
      else
        id = pop_startable(c, kind, lists, c .. 'r:' .. kind)
      end
      if id then
        local job = lease_job(c, a, kind, id, now)
        if offer and not offer.wait then
          budget_accept(d, offer, now)
          job.grant = {offer.endpoint, offer.credential, int(offer.calls)}
        end
        return {'job', job}
      end
    end
  end
  return idle
end
