-- Appends messages to their streams: fenced, without duplicates, in the order of each lane.
--
-- KEYS[1]  the epoch of the newest relay
-- KEYS[2…] bit blocks and streams, as the messages refer to them
-- ARGV[1]  our epoch
-- ARGV[2]  milliseconds for which a bit block lives after its last message; 0: no dedup
-- ARGV[3]  MAXLEN, approximate; 0: none
-- ARGV[4…] per message: lane, stream (place in KEYS), bit block (place in KEYS), bit,
--          uid, topic, key flag (1: has a key), key, at, headers, payload
--
-- Returns one text per message: "new", "old" (a duplicate), "held", or the error's text.

local epoch = redis.call('GET', KEYS[1])
if epoch ~= ARGV[1] then
  if epoch and tonumber(epoch) > tonumber(ARGV[1]) then
    return redis.error_reply('SUPERSEDED epoch ' .. epoch)
  end
  return redis.error_reply('UNFENCED the server lost our epoch')
end

local FIELDS = 11
local window, maxlen = tonumber(ARGV[2]), ARGV[3]
local verdicts, stopped = {}, {}

local function append(at)
  local entry = {KEYS[tonumber(ARGV[at + 1])]}
  if maxlen ~= '0' then
    for _, word in ipairs({'MAXLEN', '~', maxlen}) do entry[#entry + 1] = word end
  end
  for _, word in ipairs({'*', 'uid', ARGV[at + 4], 'topic', ARGV[at + 5]}) do
    entry[#entry + 1] = word
  end
  if ARGV[at + 6] == '1' then
    entry[#entry + 1] = 'key'
    entry[#entry + 1] = ARGV[at + 7]
  end
  for _, word in ipairs({'at', ARGV[at + 8], 'headers', ARGV[at + 9], 'payload', ARGV[at + 10]}) do
    entry[#entry + 1] = word
  end
  return redis.pcall('XADD', unpack(entry))
end

local function settle(at)
  local lane, block, bit = ARGV[at], KEYS[tonumber(ARGV[at + 2])], ARGV[at + 3]
  if stopped[lane] then return 'held' end
  if window > 0 and redis.call('GETBIT', block, bit) == 1 then return 'old' end
  local entry = append(at)
  if type(entry) == 'table' then
    stopped[lane] = true
    return entry['err']
  end
  if window > 0 then
    redis.call('SETBIT', block, bit, 1)
    redis.call('PEXPIRE', block, window)
  end
  return 'new'
end

for at = 4, #ARGV, FIELDS do
  verdicts[#verdicts + 1] = settle(at)
end
return verdicts
