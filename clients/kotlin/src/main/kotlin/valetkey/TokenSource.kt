package valetkey

import java.util.concurrent.ExecutionException
import java.util.concurrent.FutureTask
import java.util.concurrent.TimeUnit
import kotlin.io.encoding.Base64
import kotlin.math.max

/**
 * Answers with a JWT for the signed-in user, from the app's own backend. Called on the thread of the call that needs it, when there is
 * no token, shortly before its end, and after a refusal.
 */
public fun interface TokenProvider {
    /** With [forceRefresh] the API refused the last one: do not answer from a cache. */
    @Throws(Exception::class)
    public fun token(forceRefresh: Boolean): String
}

/** A token this close to its end is replaced first, so that it does not expire on its way. */
private const val RENEW_BEFORE_END_MS = 30_000L

/** Assumed for a token that cannot be read: the API has the last word. */
private const val ASSUMED_LIFETIME_MS = 60_000L

/** A line break would end up in a header. */
private val TOKEN = Regex("[A-Za-z0-9_.~+/=-]+")

/** `iat` and `exp`, in Unix seconds. */
internal class TokenTimes(val iat: Long, val exp: Long)

/** The token, kept in memory and nowhere else. [elapsedMs] is a clock that nobody sets; [nowSecs] is the device's, which may be wrong. */
internal class TokenSource(
    private val provider: TokenProvider,
    private val elapsedMs: () -> Long = { TimeUnit.NANOSECONDS.toMillis(System.nanoTime()) },
    private val nowSecs: () -> Long = { System.currentTimeMillis() / 1000 },
) {
    private class Held(val token: String, val renewAtMs: Long)

    private val lock = Any()
    private var held: Held? = null
    private var pending: FutureTask<String>? = null
    private var forceRefresh = false

    /** A token that is good for a while. Callers at the same time share one request. */
    fun get(): String {
        while (true) {
            val own: FutureTask<String>
            val shared: FutureTask<String>?
            synchronized(lock) {
                held?.let { if (elapsedMs() < it.renewAtMs) return it.token }
                own = FutureTask { renew() }
                shared = pending
                if (shared == null) pending = own
            }
            if (shared == null) own.run()
            try {
                return (shared ?: own).get()
            } catch (failure: ExecutionException) {
                val cause = failure.cause
                // Whoever asked for all of us was interrupted; we were not.
                if (cause is InterruptedException && shared != null) continue
                throw cause ?: failure
            }
        }
    }

    /** Forgets a token that the API refused; another one that came meanwhile stays. */
    fun refuse(token: String): Unit = synchronized(lock) {
        if (held?.token != token) return
        held = null
        forceRefresh = true
    }

    private fun renew(): String {
        try {
            val askedAtMs = elapsedMs()
            val token = ask(synchronized(lock) { forceRefresh })
            // Counted from before the request on a clock that nobody sets.
            val leftMs = readTimes(token)?.let(::leftMs) ?: ASSUMED_LIFETIME_MS
            synchronized(lock) {
                held = Held(token, askedAtMs + max(leftMs - RENEW_BEFORE_END_MS, leftMs / 2))
                forceRefresh = false
            }
            return token
        } finally {
            synchronized(lock) { pending = null }
        }
    }

    private fun leftMs(times: TokenTimes): Long {
        val now = nowSecs()
        // By its own times the token is not good now, and yet it was just handed out: the device's clock is wrong.
        val from = if (now in times.iat until times.exp) now else times.iat
        // A token out of a cache of the app's has only what is left of it.
        return (times.exp - from) * 1000
    }

    private fun ask(forceRefresh: Boolean): String {
        val token = try {
            provider.token(forceRefresh)
        } catch (failure: InterruptedException) {
            throw failure
        } catch (failure: ValetkeyException) {
            throw failure
        } catch (failure: java.io.IOException) {
            throw ValetkeyException(Code.NETWORK, "There is no token.", cause = failure)
        } catch (failure: Exception) {
            throw ValetkeyException(Code.NO_TOKEN, "There is no token.", cause = failure)
        }
        if (!TOKEN.matches(token)) throw ValetkeyException(Code.NO_TOKEN, "The token provider did not answer with a token.")
        return token
    }
}

private val BASE64_URL = Base64.UrlSafe.withPadding(Base64.PaddingOption.ABSENT_OPTIONAL)

/** The times of a JWT. Nothing is verified: that is the API's work, and this only plans the next request. */
internal fun readTimes(token: String): TokenTimes? = try {
    val claims = parseJson(BASE64_URL.decode(token.split('.').getOrElse(1) { "" }).decodeToString()) as? Map<*, *>
    val iat = claims?.get("iat") as? Long
    val exp = claims?.get("exp") as? Long
    if (iat != null && exp != null && exp > iat) TokenTimes(iat, exp) else null
} catch (_: IllegalArgumentException) {
    null
} catch (_: JsonException) {
    null
}
