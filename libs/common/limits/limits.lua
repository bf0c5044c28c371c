-- The rules of rules.py and breaker.py for all replicas at once; names are theirs.
-- KEYS: account, breaker, replicas (owner by its last beat), holders (who uses this account).
-- ARGV: verb, now (0 = this server's clock), limit, window, concurrency, then what the verb takes.
local SLICES, SAME_WINDOW, WAITS, SOON, NEAR = 50, 2000, 500, 25, 2000
local KEPT = {hint = 0, hook = 2, manual = 2, poll = 5}
local SPAN, SLICE, LEAST_CALLS, FIRST, LONGEST, PROBE_LEASE = 30000, 3000, 20, 1000, 8000, 10000
local BEAT, HELD = 5000, 86400000

local verb, now = ARGV[1], tonumber(ARGV[2])
local terms = {limit = tonumber(ARGV[3]), window = tonumber(ARGV[4]), concurrency = tonumber(ARGV[5])}
local width = math.max(math.floor(terms.window / SLICES), 1)
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local function read(key, new)
  local kept = redis.call('GET', key)
  return kept and cmsgpack.unpack(kept) or new
end

local function size(map)
  local count = 0
  for _ in pairs(map) do count = count + 1 end
  return count
end

local function total(map)
  local sum = 0
  for _, count in pairs(map) do sum = sum + count end
  return sum
end

-- The account

local function seeded(seed)
  local account = {limit = 0, left = 0, reset = 0, told = false, blocked = 0,
    slots = {}, slices = {}, waiting = {}, served = {}}
  if seed and seed ~= '' then
    local known = cjson.decode(seed)
    for name, value in pairs(known) do if name ~= 'used' then account[name] = value end end
    if known.used > 0 then account.slices[tostring(math.floor(now / width))] = known.used end
  end
  return account
end

local function count(account)
  local at = tostring(math.floor(now / width))
  account.slices[at] = (account.slices[at] or 0) + 1
end

local function leaves(at) return (tonumber(at) + 1) * width + terms.window end

local function pass_time(account)
  for ticket, till in pairs(account.slots) do
    if till <= now then account.slots[ticket] = nil; count(account) end
  end
  for at in pairs(account.slices) do if leaves(at) <= now then account.slices[at] = nil end end
  for flow, till in pairs(account.waiting) do if till <= now then account.waiting[flow] = nil end end
  if account.limit > 0 and account.reset <= now then
    account.left, account.reset, account.told = account.limit, now + terms.window, false
  end
end

local function used(account) return total(account.slices) + size(account.slots) end

local function start(account, within, name)
  return math.max(account.served[within .. '\n' .. name] or 0, account.served[within .. '\n'] or 0)
end

local function affords(account, lane)
  local whole = account.limit > 0 and account.limit or terms.limit
  local spare = account.limit > 0 and account.left or whole - used(account)
  local kept = math.floor(whole * KEPT[lane] / 100)
  return spare - kept >= math.min(1, whole - kept)
end

local function refills(account)
  if account.limit > 0 then return account.reset end
  local first
  for at in pairs(account.slices) do first = math.min(first or leaves(at), leaves(at)) end
  return first or now + SOON
end

local function is_full(account)
  local most = math.max(terms.concurrency, 1)
  if size(account.slots) >= most then
    for ticket in pairs(account.slots) do
      local beat = redis.call('ZSCORE', KEYS[3], string.match(ticket, '^(.*):'))
      if beat and tonumber(beat) < now - BEAT then account.slots[ticket] = nil; count(account) end
    end
  end
  return size(account.slots) >= most
end

local function is_behind(account, workspace, lane)
  for flow in pairs(account.waiting) do
    local theirs, way = string.match(flow, '^(.*)\n(.*)$')
    if theirs ~= workspace then
      if start(account, '', theirs) < start(account, '', workspace) then return true end
    elseif start(account, workspace, way) < start(account, workspace, lane) then
      return true
    end
  end
  return false
end

local function refusal(account, workspace, lane)
  if account.blocked > now then return 'blocked', account.blocked end
  if not affords(account, lane) then return 'budget', refills(account) end
  if is_full(account) then return 'slot', now + SOON end
  if is_behind(account, workspace, lane) then return 'turn', now + SOON end
  return '', 0
end

local function serve(account, within, name)
  local from = start(account, within, name)
  account.served[within .. '\n'] = from
  account.served[within .. '\n' .. name] = from + 1
end

local function forget_idle(account)
  local gone, now_at = {}, account.served['\n'] or 0
  for key, till in pairs(account.served) do
    local name = string.match(key, '^\n(.+)$')
    if name and till < now_at then gone[name] = true end
  end
  for key in pairs(account.served) do
    local within, name = string.match(key, '^(.-)\n(.*)$')
    if gone[within] or within == '' and gone[name] then account.served[key] = nil end
  end
end

local function learn(account, limit, left, reset)
  if not account.told or reset > account.reset + SAME_WINDOW then
    account.limit, account.reset, account.told = limit, reset, true
    account.left = math.max(left - size(account.slots), 0)
  elseif reset >= account.reset - SAME_WINDOW then
    account.limit, account.left = limit, math.min(account.left, left)
  end
end

local function keep(account)
  local ttl = math.max(2 * terms.window, account.reset - now, account.blocked - now) + 60000
  redis.call('SET', KEYS[1], cmsgpack.pack(account), 'PX', ttl)
end

local function answered(account, reason, at, probe)
  return {reason, math.max(at - now, 0), probe and 1 or 0, account.limit, account.left, account.reset, account.told and 1 or 0,
    account.blocked, used(account)}
end

-- The breaker

local function read_breaker() return read(KEYS[2], {open = 0, cooldown = 0, probe = 0, calls = {}, failed = {}}) end

local function keep_breaker(breaker) redis.call('SET', KEYS[2], cmsgpack.pack(breaker), 'PX', 600000) end

local function breaker_refuses(breaker)
  if breaker.open == 0 then return 0 end
  if now < breaker.open then return breaker.open end
  return now < breaker.probe and now + FIRST or 0
end

local function judge(breaker, failed)
  breaker.probe = 0
  breaker.cooldown = failed and math.min(math.max(breaker.cooldown * 2, FIRST), LONGEST) or 0
  breaker.open = failed and now + breaker.cooldown or 0
end

local function count_call(breaker, failed)
  local at = math.floor(now / SLICE)
  for _, counts in ipairs({breaker.calls, breaker.failed}) do
    for one in pairs(counts) do if tonumber(one) <= at - SPAN / SLICE then counts[one] = nil end end
  end
  at = tostring(at)
  breaker.calls[at] = (breaker.calls[at] or 0) + 1
  breaker.failed[at] = (breaker.failed[at] or 0) + (failed and 1 or 0)
  local calls, failures = total(breaker.calls), total(breaker.failed)
  if calls >= LEAST_CALLS and failures * 2 >= calls then
    breaker.open, breaker.cooldown, breaker.calls, breaker.failed = now + FIRST, FIRST, {}, {}
  end
end

-- The verbs

local function take(ticket, workspace, lane, lease, holder, seed)
  local account, breaker = read(KEYS[1]) or seeded(seed), read_breaker()
  local flow = workspace .. '\n' .. lane
  pass_time(account)
  redis.call('ZADD', KEYS[4], now, holder)
  redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now - HELD)
  redis.call('PEXPIRE', KEYS[4], HELD)
  local closed_until = breaker_refuses(breaker)
  if closed_until > 0 then return answered(account, 'breaker', closed_until) end
  local reason, at = refusal(account, workspace, lane)
  if reason ~= '' then
    if at - now <= NEAR then account.waiting[flow] = now + WAITS end
    keep(account)
    return answered(account, reason, at)
  end
  account.waiting[flow] = nil
  serve(account, '', workspace)
  serve(account, workspace, lane)
  forget_idle(account)
  account.slots[ticket] = now + lease
  if account.limit > 0 then account.left = account.left - 1 end
  keep(account)
  local probe = breaker.open > 0
  if probe then breaker.probe = now + PROBE_LEASE; keep_breaker(breaker) end
  return answered(account, '', 0, probe)
end

local function settle(ticket, free, limit, left, reset, blocked_for, outcome, probe, seed)
  local account = read(KEYS[1]) or seeded(seed)
  pass_time(account)
  if account.slots[ticket] then
    account.slots[ticket] = nil
    if free ~= '1' then count(account)
    elseif account.limit > 0 then account.left = math.min(account.left + 1, account.limit) end
  end
  if limit > 0 and reset > now then learn(account, limit, left, reset) end
  if blocked_for > 0 then account.blocked = math.max(account.blocked, now + blocked_for) end
  keep(account)
  local breaker = read_breaker()
  if outcome ~= '' then
    local failed = outcome == 'failed'
    if probe == '1' then judge(breaker, failed); keep_breaker(breaker)
    elseif breaker.open == 0 then count_call(breaker, failed); keep_breaker(breaker) end
  end
  local found = answered(account, '', 0)
  found[10] = breaker.open
  return found
end

if verb == 'take' then return take(ARGV[6], ARGV[7], ARGV[8], tonumber(ARGV[9]), ARGV[10], ARGV[11]) end
if verb == 'settle' then
  return settle(ARGV[6], ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11]),
    ARGV[12], ARGV[13], ARGV[14])
end
if verb == 'look' then
  local account = read(KEYS[1])
  if not account then return {} end
  pass_time(account)
  return answered(account, '', 0)
end
redis.call('ZADD', KEYS[3], now, ARGV[6])
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - 600000)
redis.call('PEXPIRE', KEYS[3], 600000)
return {redis.call('ZCOUNT', KEYS[3], now - BEAT, '+inf')}
