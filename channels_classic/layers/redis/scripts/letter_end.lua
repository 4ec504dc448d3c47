-- Removes a dead letter, and sends it to its channel once more if the caller wants that.
--
-- KEYS  pattern             type        what for; when it ends
--   1   asgi:letters        hash        the dead letters; see letter_keep.lua
--   2   asgi:letter-times   sorted set  see letter_keep.lua
--   3   asgi:queue:<queue>  list        the queue of its channel, if it is to be sent; with its last entry
--   4   asgi:bell:<queue>   list        its bell; see take.lua
--
-- ARGV
--   1  the identity
--   2  how long an entry lives, in milliseconds
--   3  what to send
--
-- Returns 1 if the letter was there, else 0.

if redis.call("HDEL", KEYS[1], ARGV[1]) == 0 then
    return 0
end
redis.call("ZREM", KEYS[2], ARGV[1])
if KEYS[3] then
    local time = redis.call("TIME")
    local life = tonumber(ARGV[2])
    redis.call("RPUSH", KEYS[3], string.format("%016.0f", time[1] * 1e6 + time[2] + life * 1000) .. ARGV[3])
    redis.call("PEXPIRE", KEYS[3], life)
    if redis.call("EXISTS", KEYS[4]) == 0 then
        redis.call("RPUSH", KEYS[4], "1")
        redis.call("EXPIRE", KEYS[4], 86400)
    end
end
return 1
