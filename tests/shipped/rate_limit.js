// The platform's rate-limit binding, which plain workerd does not have: 60 requests of a key.
const LIMIT = 60;

export default function rateLimit() {
  const counts = new Map();
  return {
    async limit({ key }) {
      if (typeof key !== "string") throw new TypeError("the key is not a text");
      counts.set(key, (counts.get(key) ?? 0) + 1);
      return { success: counts.get(key) <= LIMIT };
    },
  };
}
