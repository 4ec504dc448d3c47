-- Carries out one command, unless the process in whose name it comes was declared dead.
--
-- KEYS  pattern               type        what for; when it ends
--   1   any                               the key of the command
--   2   asgi:beats            sorted set  the processes that beat; see beat.lua
--   3   asgi:epoch            string      identifies the data in this server; never
--
-- ARGV
--   1  the process
--   2  the epoch in which it was registered
--   3  the command, whose key comes next; then
--   …  its arguments
--
-- Returns 1 if the process was declared dead, else 0, and the answer to the command.

if not redis.call("ZSCORE", KEYS[2], ARGV[1]) and redis.call("GET", KEYS[3]) == ARGV[2] then
    return { 1 }
end
return { 0, redis.call(ARGV[3], KEYS[1], unpack(ARGV, 4)) }
