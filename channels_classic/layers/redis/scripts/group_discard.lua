-- Ends the membership of a channel in a group, and tells its process, if that has its queue on this server.
--
-- KEYS and ARGV: as in group_add.lua. ARGV[3] is how long the process may take to read it.
--
-- The route of a process goes with its last member.

if ARGV[2] == "" then
    redis.call("ZREM", KEYS[1], ARGV[1])
else
    redis.call("ZREM", KEYS[2], ARGV[2])
    if redis.call("EXISTS", KEYS[2]) == 0 then
        redis.call("ZREM", KEYS[1], ARGV[1])
    end
end
if ARGV[4] then
    local time = redis.call("TIME")
    local life = tonumber(ARGV[3])
    redis.call("RPUSH", KEYS[3], string.format("%016.0f", time[1] * 1e6 + time[2] + life * 1000) .. ARGV[4])
    if redis.call("PTTL", KEYS[3]) < life then
        redis.call("PEXPIRE", KEYS[3], life)
    end
end
