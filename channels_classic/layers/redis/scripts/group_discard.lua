-- Ends the membership of a channel in a group, and tells its process, if the queue of the process is on this
-- server.
--
-- KEYS, ARGV and the answer: as in group_add.lua. ARGV[3] is the time that the process may take to read the
-- change.
--
-- The route of a process ends with its last member.

if ARGV[6] ~= "" and not redis.call("ZSCORE", KEYS[5], ARGV[6]) and redis.call("GET", KEYS[6]) == ARGV[7] then
    return 2
end
local process = string.match(ARGV[1], "^(.*)!$")
if not process then
    redis.call("ZREM", KEYS[1], ARGV[1])
    return
end
redis.call("ZREM", KEYS[2], ARGV[2])
if redis.call("EXISTS", KEYS[2]) == 0 then
    redis.call("ZREM", KEYS[1], ARGV[1])
    redis.call("SREM", KEYS[3], ARGV[4])
end
if ARGV[8] and not redis.call("ZSCORE", KEYS[4], process) then
    local time = redis.call("TIME")
    local life = tonumber(ARGV[3])
    redis.call("RPUSH", KEYS[7], string.format("%016.0f", time[1] * 1e6 + time[2] + life * 1000) .. ARGV[8])
    local stays = redis.call("ZSCORE", KEYS[5], process) and life or math.min(life, tonumber(ARGV[5]))
    if redis.call("PTTL", KEYS[7]) < stays then
        redis.call("PEXPIRE", KEYS[7], stays)
    end
end
