-- Ends the membership of a channel in a group.
--
-- KEYS and ARGV[1], ARGV[2]: as in group_add.lua
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
