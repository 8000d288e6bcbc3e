package valetkey

import kotlin.concurrent.thread
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertNull
import kotlin.test.assertTrue

private const val AT_ONCE_MS = 1_000L

class EventsTest {
    private fun statesOf(api: ScriptedApi): List<String> =
        api.client().events(JOB).use { events -> generateSequence { events.next() }.map { it.status.wire }.toList() }

    @Test
    fun `tells each state once, and goes on where a connection was lost`() {
        val first = events(": hello\n\n", status(1, "queued"), status(2, "processing"), "event: status\nid: 3\ndata: {\"job")
        val second = events(status(2, "processing"), "event: other\nid: 9\ndata: x\n\n", status(4, "succeeded"))
        ScriptedApi(first, second).use { api ->
            assertEquals(listOf("queued", "processing", "succeeded"), statesOf(api))
            assertEquals(listOf(null, "2"), api.received.map { it.headers["last-event-id"] })
            assertEquals("GET /v1/predictions/$JOB/events", api.received[0].line)
        }
    }

    @Test
    fun `looks instead where four streams are open already`() {
        ScriptedApi(refusal(429, "rate_limited"), answer(200, prediction("processing")), answer(200, prediction("succeeded"))).use { api ->
            assertEquals(listOf("processing", "succeeded"), statesOf(api))
            assertEquals("GET /v1/predictions/$JOB", api.received[2].line)
        }
    }

    @Test
    fun `a stream that ended with its token goes on with another one`() {
        ScriptedApi(events(status(1, "processing")), refusal(401, "invalid_token"), events(status(2, "canceled"))).use { api ->
            assertEquals(listOf("processing", "canceled"), statesOf(api))
            assertEquals(2, api.tokens)
        }
    }

    @Test
    fun `a refusal ends it`() {
        ScriptedApi(refusal(404, "not_found")).use { api ->
            assertEquals(Code.NOT_FOUND, assertFailsWith<ValetkeyException> { statesOf(api) }.code)
        }
    }

    /** The JVM can close a stream that it reads only when something comes: here soon after the interrupt. */
    private val streamWithHeartbeat: Step = {
        events(status(1, "processing"))(this)
        Thread.sleep(1_000)
        say("3\r\n: \n\r\n")
    }

    /** Milliseconds until [call] ended, from when [stop] was called on its thread. */
    private fun endsAfter(call: () -> Unit, stop: (Thread) -> Unit): Long {
        val caller = thread { call() }
        Thread.sleep(500)
        val stoppedAt = System.nanoTime()
        stop(caller)
        caller.join(20_000)
        return (System.nanoTime() - stoppedAt) / 1_000_000
    }

    @Test
    fun `close from another thread ends a wait at once`() {
        ScriptedApi().use { api ->
            api.hangAfter(events(status(1, "processing")))
            val events = api.client().events(JOB)
            assertEquals(PredictionStatus.PROCESSING, events.next()?.status)
            var last: Prediction? = Prediction(JOB, PredictionStatus.QUEUED, MODEL, "")
            val ms = endsAfter({ last = events.next() }, { events.close() })
            assertTrue(ms < AT_ONCE_MS, "$ms ms")
            assertNull(last)
        }
    }

    @Test
    fun `an interrupt ends a create, a wait and a pause at once, and lets go of the connection`() {
        val calls = mapOf<String, Pair<Step, (Valetkey) -> Unit>>(
            "create" to Pair({}, { it.create(MODEL, INPUT) }),
            "wait" to Pair(streamWithHeartbeat, { it.wait(JOB) }),
        )
        for ((name, pair) in calls) {
            ScriptedApi().use { api ->
                val (step, call) = pair
                api.hangAfter(step)
                val client = api.client()
                var thrown: Throwable? = null
                val ms = endsAfter({ thrown = runCatching { call(client) }.exceptionOrNull() }, Thread::interrupt)
                assertTrue(ms < AT_ONCE_MS, "$name: $ms ms")
                assertTrue(thrown is InterruptedException, "$name: $thrown")
                Thread.sleep(AT_ONCE_MS)
                assertEquals(1, api.released.get(), "$name: connections that were let go")
            }
        }
        ScriptedApi(refusal(429, "rate_limited", "Retry-After: 30")).use { api ->
            val client = api.client()
            assertTrue(endsAfter({ runCatching { client.get(JOB) } }, Thread::interrupt) < AT_ONCE_MS)
        }
    }
}
