-- Makes our epoch the newest, unless a newer relay was here.
--
-- KEYS[1]  the epoch of the newest relay
-- ARGV[1]  our epoch

local newest = tonumber(redis.call('GET', KEYS[1]) or '0')
if newest > tonumber(ARGV[1]) then
  return redis.error_reply('SUPERSEDED epoch ' .. newest)
end
redis.call('SET', KEYS[1], ARGV[1])
return 'OK'
