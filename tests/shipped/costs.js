// Counts what the objects of the shipped Worker cost: tests/shipped/observed.js uses it.

/** The cost of a class: messages, instances, alarms that were set and that fired, commits, rows that were read, rows by table. */
export function newCost() {
  return { messages: 0, instances: 0, alarms_set: 0, alarms: 0, commits: 0, rows_read: 0, rows: {} };
}

/** Returns `target`, with some members replaced. */
function replaced(target, members) {
  return new Proxy(target, {
    get(_, name) {
      if (Object.hasOwn(members, name)) return members[name];
      const member = Reflect.get(target, name, target);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

/** Returns a SQL storage that counts the rows that its cursors report as read and as written, with those of indexes. */
function countedSql(sql, cost) {
  return replaced(sql, {
    exec(statement, ...parameters) {
      const cursor = sql.exec(statement, ...parameters);
      const table = /\b(?:INTO|FROM|UPDATE) (\w+)/.exec(statement)?.[1];
      if (cursor.rowsWritten > 0 && /^(?:INSERT|UPDATE|DELETE)/.test(statement)) {
        cost.rows[table] = (cost.rows[table] ?? 0) + cursor.rowsWritten;
      }
      // A cursor has read its rows once they were taken.
      const toArray = () => {
        const rows = cursor.toArray();
        cost.rows_read += cursor.rowsRead;
        return rows;
      };
      return replaced(cursor, { toArray });
    },
  });
}

/** Returns the state of an object whose storage counts what is written. */
export function countedState(state, cost) {
  const { storage } = state;
  const rows = () => Object.values(cost.rows).reduce((sum, count) => sum + count, 0);
  return replaced(state, {
    storage: replaced(storage, {
      sql: countedSql(storage.sql, cost),
      transactionSync(change) {
        const before = rows();
        const result = storage.transactionSync(change);
        cost.commits += rows() > before ? 1 : 0;
        return result;
      },
      setAlarm(at) {
        cost.alarms_set += 1;
        return storage.setAlarm(at);
      },
    }),
  });
}
