-- lead: take or renew the leadership. A new leader gets a new epoch: a counter and the taker's random number, so that
-- a counter lost in a fail-over never makes two masters equal. `replaces`: a master that the caller knows to be dead.
function ops.lead(_, c, a, now)
  local holder = leader(c, now)
  local epoch
  if holder and holder.master == a.master then
    epoch = holder.epoch
  elseif not holder or holder.master == a.replaces then
    epoch = int(redis.call('INCR', c .. 'epoch')) .. '-' .. a.random
  else
    return {'held', holder.master, holder.info, int(tonumber(holder.expires))}
  end
  redis.call('HSET', c .. 'lead', 'master', a.master, 'epoch', epoch, 'until', int(now + LEAD_MS), 'info', a.info)
  redis.call('PEXPIRE', c .. 'lead', ttl(LEAD_MS))
  return {'lead', epoch}
end
