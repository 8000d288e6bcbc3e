// When a failed request is repeated, and how long is waited before.
package valetkey

import kotlin.math.max
import kotlin.math.min

private const val FIRST_DELAY_MS = 500.0
private const val MAX_DELAY_MS = 8_000.0

/** More doublings change nothing. */
private const val MAX_DOUBLINGS = 10

/** Added to a Retry-After, so that those who were sent away together do not come back together. */
private const val RETRY_AFTER_SPREAD = 0.2

/** The pause after the [tries]-th failure in a row. [random] is in [0, 1). */
internal fun backoffMs(tries: Int, random: Double, retryAfterSecs: Long?): Long {
    val doublings = min(tries - 1, MAX_DOUBLINGS)
    val exponential = min(MAX_DELAY_MS, FIRST_DELAY_MS * (1 shl doublings)) * (0.5 + random / 2)
    val asked = (retryAfterSecs ?: 0) * 1000 * (1 + RETRY_AFTER_SPREAD * random)
    return max(exponential, asked).toLong()
}

/**
 * Whether to send the same request again by ourselves. [isRepeatable]: to send it twice does no harm. A `Retry-After` above
 * [longestWaitSecs] is the app's: a person has to be told.
 */
internal fun mayRepeat(error: ValetkeyException, isRepeatable: Boolean, longestWaitSecs: Long): Boolean {
    if ((error.retryAfterSecs ?: 0) > longestWaitSecs) return false
    if (error.advice == Advice.WAIT) return true
    // A create that failed behind the API has left a prediction, which is followed instead.
    if (error.advice != Advice.REPEAT || !isRepeatable || error.jobId != null) return false
    val status = error.status ?: 0
    // An unreadable 404 or 403 is a wrong address, and stays one.
    return error.code != Code.UNREADABLE_ANSWER || status < 300 || status == 429 || status >= 500
}
