-- Ends all memberships that a process holds in a group.
--
-- KEYS  pattern                         type        what for; when it ends
--   1   asgi:routes:<group>             sorted set  as in group_add.lua
--   2   asgi:members:<group>:<process>  sorted set  as in group_add.lua
--   3   asgi:joined:<process>           set         as in group_add.lua
--
-- ARGV
--   1  the name of the process up to and including "!"
--   2  the group

redis.call("ZREM", KEYS[1], ARGV[1])
redis.call("UNLINK", KEYS[2])
redis.call("SREM", KEYS[3], ARGV[2])
