package valetkey

import kotlin.test.Test
import kotlin.test.assertEquals

class RetryTest {
    private fun mayRepeat(error: ValetkeyException, isRepeatable: Boolean) = mayRepeat(error, isRepeatable, Options().longestWaitSecs)

    @Test
    fun `the back-off doubles up to eight seconds, half of it random`() {
        assertEquals(listOf(250L, 500L, 1000L, 2000L, 4000L, 4000L), (1..6).map { backoffMs(it, 0.0, null) })
        assertEquals(listOf(500L, 1000L, 2000L, 4000L, 8000L, 8000L), (1..6).map { backoffMs(it, 1.0, null) })
        assertEquals(8000L, backoffMs(Int.MAX_VALUE, 1.0, null))
    }

    @Test
    fun `a Retry-After is obeyed, plus up to a fifth at random`() {
        assertEquals(10_000L, backoffMs(1, 0.0, 10))
        assertEquals(12_000L, backoffMs(1, 1.0, 10))
        assertEquals(8_000L, backoffMs(5, 1.0, 1))
    }

    @Test
    fun `retries temporary refusals always, and requests that may have arrived only if that is harmless`() {
        val repeated = Code.entries.filter { mayRepeat(ValetkeyException(it, "m"), isRepeatable = true) }
        val refused = Code.entries.filter { mayRepeat(ValetkeyException(it, "m"), isRepeatable = false) }
        val forNow = setOf(Code.RATE_LIMITED, Code.TOO_MANY_PREDICTIONS, Code.QUEUE_FULL, Code.LIMITER_UNAVAILABLE, Code.UPSTREAM_UNAVAILABLE)
        val unsure = setOf(
            Code.NETWORK, Code.TIMEOUT, Code.UNREADABLE_ANSWER, Code.IDEMPOTENCY_IN_PROGRESS, Code.UPSTREAM_ERROR, Code.UPSTREAM_TIMEOUT,
        )
        assertEquals(forNow + unsure, repeated.toSet())
        assertEquals(forNow, refused.toSet())
    }

    @Test
    fun `does not wait longer than longestWaitSecs`() {
        val waits = listOf(65L, 71L).map { mayRepeat(ValetkeyException(Code.RATE_LIMITED, "m", 429, retryAfterSecs = it), isRepeatable = true) }
        assertEquals(listOf(true, false), waits)
    }

    @Test
    fun `does not retry a create that left a prediction, nor a request to a wrong address`() {
        assertEquals(false, mayRepeat(ValetkeyException(Code.UPSTREAM_TIMEOUT, "m", 504, jobId = "pred_1"), isRepeatable = true))
        val repeated = listOf(200, 302, 403, 404, 429, 500, 502).filter { mayRepeat(ValetkeyException(Code.UNREADABLE_ANSWER, "m", it), true) }
        assertEquals(listOf(200, 429, 500, 502), repeated)
    }
}
