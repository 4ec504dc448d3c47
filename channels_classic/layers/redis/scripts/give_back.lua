-- Puts messages back in front of their queues.
--
-- KEYS  pattern             type  what for; when it ends
--   …   asgi:queue:<queue>  list  the queues; with their last entry
--
-- ARGV
--   1  how long a queue lives with the messages at the least, in milliseconds
--   …  pairs, the last message first: the number of the queue, from 1, and the entry

-- A write that takes no memory comes first: a Redis that is full refuses a script at its first write only, and
-- what was in there a moment ago must find its way back.
redis.call("LTRIM", KEYS[1], 0, -1)
for argument = 2, #ARGV, 2 do
    redis.call("LPUSH", KEYS[tonumber(ARGV[argument])], ARGV[argument + 1])
end
for q = 1, #KEYS do
    if redis.call("PTTL", KEYS[q]) < tonumber(ARGV[1]) then
        redis.call("PEXPIRE", KEYS[q], ARGV[1])
    end
end
