// Checks what an app passes to the client, before anything is sent.
package valetkey

import java.io.File

private const val MAX_UPLOAD_BYTES = 90_000_000L
private const val MAX_QUOTED = 64

private val KEY = Regex("[\\x20-\\x7e]{1,255}")
private val MEDIA_TYPE = Regex("[a-z]+/[a-z0-9.+-]+")

/** Allows no dots and slashes, which would lead to another route. */
private val ID = Regex("[A-Za-z0-9_]{1,64}")
private val MODEL = Regex("[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")

/** Matches a path segment of dots only, which would lead to another route. */
private val DOTS = Regex("(^|/)\\.+(/|$)")

private const val PORT = "(:[0-9]{1,5})?"
private val SECURE = Regex("https://([^\\s/?#@:\\[\\]\\\\]+|\\[[0-9a-f:.]+])$PORT", RegexOption.IGNORE_CASE)

/** Plain http to this machine. 10.0.2.2 is the address of an Android emulator's host. */
private val THIS_MACHINE = Regex("http://(localhost|127\\.[0-9]+\\.[0-9]+\\.[0-9]+|\\[::1]|10\\.0\\.2\\.2)$PORT", RegexOption.IGNORE_CASE)

/**
 * Returns the error for an argument that cannot be used. Pass a value as [found] only if it cannot be a token or a
 * prompt in the wrong place: messages end up in logs.
 */
internal fun invalid(param: String, allowed: String, found: String): ValetkeyException =
    ValetkeyException(Code.INVALID_PARAMETER, "`$param` must be $allowed, not $found.", param = param)

/** Returns the start of [text] in quotes: as much as an ID can have, and less than a token has. */
private fun quoted(text: String) = "\"${text.take(MAX_QUOTED)}\""

private val HTTP = Regex("^http:", RegexOption.IGNORE_CASE)

/**
 * Returns [baseUrl] without trailing slashes. Requires https, except on this machine and with [allowHttp]: plain http would
 * expose the token on the network. Valetkey's routes have no prefix, so a path is a mistake, such as the `/v1` of the vendor's base URL.
 */
internal fun checkedBase(baseUrl: String, allowHttp: Boolean = false): String {
    val base = baseUrl.trimEnd('/')
    if (SECURE.matches(if (allowHttp) base.replace(HTTP, "https:") else base) || THIS_MACHINE.matches(base)) return base
    throw invalid("baseUrl", "an https URL without a path, or http on this machine (with `allowHttp = true` on any)", "\"$baseUrl\"")
}

/** Throws unless [value] is at least [min]. */
internal fun checkNumber(param: String, value: Long, min: Long) {
    if (value < min) throw invalid(param, "a number of at least $min", "$value")
}

internal fun checkKey(idempotencyKey: String) {
    if (KEY.matches(idempotencyKey)) return
    throw ValetkeyException(Code.INVALID_IDEMPOTENCY_KEY, "An idempotency key is a string of 1 to 255 printable ASCII characters.")
}

internal fun checkFile(file: File) {
    if (!file.isFile || !file.canRead()) throw invalid("file", "a readable file", "\"$file\"")
    if (file.length() !in 1..MAX_UPLOAD_BYTES) throw invalid("file", "1 to $MAX_UPLOAD_BYTES bytes long", "${file.length()}")
}

/** Returns the media type without its parameters, such as the codecs of a recording. */
internal fun mediaType(contentType: String): String {
    val type = contentType.substringBefore(';').trim().lowercase()
    if (MEDIA_TYPE.matches(type)) return type
    throw invalid("contentType", "a media type such as image/png", quoted(contentType))
}

/** Returns [id] if it is safe in a URL. */
internal fun checkedId(param: String, id: String): String {
    if (ID.matches(id)) return id
    throw invalid(param, "an ID of 1 to 64 letters, digits and underscores", quoted(id))
}

internal fun predictionPath(jobId: String): String = "/v1/predictions/${checkedId("jobId", jobId)}"

internal fun filePath(fileId: String): String = "/v1/files/${checkedId("fileId", fileId)}"

internal fun modelPath(model: String): String {
    if (MODEL.matches(model) && !DOTS.containsMatchIn(model)) return model
    throw ValetkeyException(Code.MODEL_NOT_ALLOWED, "A model's name is `owner/model`, not ${quoted(model)}.", param = "model")
}

/** Returns [path] with the members that are not null as its query. Their values need no encoding. */
internal fun withQuery(path: String, vararg members: Pair<String, Any?>): String {
    val set = members.filter { it.second != null }
    return if (set.isEmpty()) path else path + set.joinToString("&", "?") { (name, value) -> "$name=$value" }
}
