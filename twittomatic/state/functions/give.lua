-- give: calls of a grant that were not made.
function ops.give(d, _, a, now)
  budget_give(d, a.endpoint, a.credential, a.calls, now)
  return {'ok'}
end
