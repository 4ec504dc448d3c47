-- Stores a socket of an interface server that this server may have lost.
--
-- KEYS  pattern                  type  what for; when it ends
--   1   asgi:clients:<process>   hash  the wills of the sockets of an interface server; with the last of them
--   2   asgi:orders:<process>    hash  the orders of their last messages; with them
--
-- ARGV
--   1  the local part of its reply channel
--   2  its will
--   3  the order of its last message that was taken, as far as the interface server knows; the stored order may be
-- greater
--
-- Returns nothing.

redis.call("HSET", KEYS[1], ARGV[1], ARGV[2])
if tonumber(redis.call("HGET", KEYS[2], ARGV[1]) or -1) < tonumber(ARGV[3]) then
    redis.call("HSET", KEYS[2], ARGV[1], ARGV[3])
end
