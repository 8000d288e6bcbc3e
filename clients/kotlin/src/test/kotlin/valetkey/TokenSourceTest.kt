package valetkey

import java.io.IOException
import java.io.InterruptedIOException
import java.net.SocketTimeoutException
import java.util.concurrent.CancellationException
import java.util.concurrent.CountDownLatch
import java.util.concurrent.ExecutionException
import java.util.concurrent.Executors
import java.util.concurrent.TimeoutException
import java.util.concurrent.atomic.AtomicInteger
import kotlin.io.encoding.Base64
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertNull
import kotlin.test.assertSame

private const val NOW = 1_768_473_000L

internal fun jwt(iat: Long, exp: Long, more: String = ""): String {
    val claims = """{"iat":$iat,"exp":$exp$more}"""
    return "e30.${Base64.UrlSafe.encode(claims.toByteArray()).trimEnd('=')}.c2ln"
}

class TokenSourceTest {
    private var elapsed = 0L
    private val asked = ArrayList<Boolean>()

    private fun source(deviceNow: Long = NOW, token: (Int) -> String): TokenSource {
        val provider = TokenProvider { forceRefresh ->
            asked.add(forceRefresh)
            token(asked.size)
        }
        return TokenSource(provider, { elapsed }, { deviceNow })
    }

    /** Returns the milliseconds after which [tokens] asks for another token, in steps of one second. */
    private fun lifeOf(tokens: TokenSource): Long {
        tokens.get()
        while (asked.size == 1) {
            elapsed += 1000
            tokens.get()
        }
        return elapsed
    }

    @Test
    fun `a token is replaced 30 s before it expires`() {
        assertEquals(270_000, lifeOf(source { jwt(NOW, NOW + 300, ",\"jti\":\"$it\"") }))
    }

    @Test
    fun `a token that lives less than a minute is replaced after half its lifetime`() {
        assertEquals(20_000, lifeOf(source { jwt(NOW, NOW + 40) }))
    }

    @Test
    fun `a cached token counts only for its remaining lifetime`() {
        assertEquals(70_000, lifeOf(source(deviceNow = NOW + 200) { jwt(NOW, NOW + 300) }))
    }

    @Test
    fun `a device with a wrong clock counts the full lifetime`() {
        for (wrong in listOf(-86_400L, -1L, 300L, 86_400L)) {
            elapsed = 0
            asked.clear()
            assertEquals(270_000, lifeOf(source(deviceNow = NOW + wrong) { jwt(NOW, NOW + 300) }), "$wrong s")
        }
    }

    @Test
    fun `a device that slept asks for a new token although its monotonic clock stopped`() {
        var now = NOW
        val tokens = TokenSource({ jwt(now, now + 300) }, { elapsed }, { now })
        val first = tokens.get()
        now += 269
        assertEquals(first, tokens.get())
        now += 1
        assertEquals(jwt(now, now + 300), tokens.get())
    }

    @Test
    fun `an unreadable token is kept for half a minute`() {
        assertEquals(30_000, lifeOf(source { "opaque" }))
        for (token in listOf("", "a", "a.b.c", "e30.e30.c2ln", "e30.!!!.c2ln", jwt(5, 5), jwt(5, 4))) assertNull(readTimes(token), token)
    }

    @Test
    fun `a refused token is replaced once, and a newer token stays`() {
        val tokens = source { jwt(NOW, NOW + 300, ",\"jti\":\"$it\"") }
        val first = tokens.get()
        tokens.refuse(first)
        val second = tokens.get()
        tokens.refuse(first)
        assertEquals(second, tokens.get())
        assertEquals(listOf(false, true), asked)
    }

    @Test
    fun `twenty threads share one request, also one that fails`() {
        for (isGood in listOf(true, false)) {
            val calls = AtomicInteger()
            val begun = CountDownLatch(1)
            val tokens = TokenSource({
                calls.incrementAndGet()
                begun.await()
                Thread.sleep(100)
                if (isGood) jwt(NOW, NOW + 300) else throw IOException("offline")
            })
            val pool = Executors.newFixedThreadPool(20)
            val results = List(20) { pool.submit<Result<String>> { runCatching { tokens.get() } } }
            Thread.sleep(100)
            begun.countDown()
            assertEquals(setOf(isGood), results.map { it.get().isSuccess }.toSet())
            assertEquals(1, calls.get())
            pool.shutdown()
        }
    }

    @Test
    fun `when the thread that asked is interrupted, another thread asks`() {
        val calls = AtomicInteger()
        val begun = CountDownLatch(1)
        val tokens = TokenSource({
            if (calls.incrementAndGet() == 1) {
                begun.countDown()
                Thread.sleep(60_000)
            }
            jwt(NOW, NOW + 300)
        })
        val first = Thread { runCatching { tokens.get() } }.apply { start() }
        begun.await()
        val pool = Executors.newSingleThreadExecutor()
        val second = pool.submit<String> { tokens.get() }
        Thread.sleep(100)
        first.interrupt()
        assertEquals(jwt(NOW, NOW + 300), second.get())
        assertEquals(2, calls.get())
        pool.shutdown()
    }

    @Test
    fun `a request that never completes does not block later callers`() {
        val calls = AtomicInteger()
        val begun = CountDownLatch(1)
        val tokens = TokenSource({
            if (calls.incrementAndGet() == 1) {
                begun.countDown()
                Thread.sleep(60_000)
            }
            jwt(NOW, NOW + 300)
        }, waitMs = 100)
        val first = Thread { runCatching { tokens.get() } }.apply { start() }
        begun.await()
        assertEquals(Code.NETWORK, assertFailsWith<ValetkeyException> { tokens.get() }.code)
        assertEquals(jwt(NOW, NOW + 300), tokens.get())
        first.interrupt()
    }

    @Test
    fun `an interrupt is recognized however a library reports it`() {
        val interrupted = source {
            Thread.currentThread().interrupt()
            throw InterruptedIOException()
        }
        assertFailsWith<InterruptedException> { interrupted.get() }
        assertEquals(false, Thread.interrupted())
        val words = InterruptedIOException("thread interrupted")
        val told = listOf(words, InterruptedIOException("interrupted"), RuntimeException(words), IOException(InterruptedException()))
        for (failure in told) {
            assertFailsWith<InterruptedException>("$failure") { source { throw failure }.get() }
            assertFailsWith<InterruptedException>("$failure") { explained { throw failure as? IOException ?: words } }
        }
    }

    @Test
    fun `neither a time-out nor an interrupt of another thread counts as an interrupt`() {
        val passing = listOf(
            InterruptedIOException("timeout"), SocketTimeoutException("interrupted"), ExecutionException(InterruptedIOException("interrupted")),
            CancellationException("out of time").apply { initCause(InterruptedException()) },
        )
        for (failure in passing) {
            assertEquals(Code.NETWORK, assertFailsWith<ValetkeyException>("$failure") { source { throw failure }.get() }.code)
        }
        assertEquals(Code.NETWORK, assertFailsWith<ValetkeyException> { explained { throw InterruptedIOException("timeout") } }.code)
    }

    @Test
    fun `the provider's failure is the cause of the error, and a token that could inject a header is refused`() {
        val broken = IllegalStateException("signed out")
        val failure = assertFailsWith<ValetkeyException> { source { throw broken }.get() }
        assertEquals(Code.NO_TOKEN, failure.code)
        assertSame(broken, failure.cause)
        assertEquals(Code.NETWORK, assertFailsWith<ValetkeyException> { source { throw IOException() }.get() }.code)
        for (passing in listOf(ExecutionException(IOException()), TimeoutException(), CancellationException("out of time"), SocketTimeoutException())) {
            assertEquals(Code.NETWORK, assertFailsWith<ValetkeyException> { source { throw passing }.get() }.code, "$passing")
        }
        for (token in listOf("", " ", "a\r\nX: y", "ä")) {
            assertEquals(Code.NO_TOKEN, assertFailsWith<ValetkeyException>(token) { source { token }.get() }.code)
        }
    }
}
