-- take: calls of one endpoint from one of the caller's credentials.
function ops.take(d, _, a, now)
  local offer = budget_offer(d, a.endpoint, a.calls, a.credentials, now)
  if offer.wait then
    return {'wait', int(offer.wait), offer.reason}
  end
  budget_accept(d, offer, now)
  return {'grant', offer.credential, int(offer.calls)}
end
