// A lease as an hourglass: the suite has no clock that it could hold against that of the store.
import type { Lease } from '../../../queue/queue';
import { shown } from '../expectations';
import type { Stage } from './stage';

/**
 * A contact of a queue of its own, taken by nobody who works on it. Once it is given again, a lease has gone by: every lease
 * that began before has run out, and every one that began since may have.
 */
export class Hourglass {
  #hasRunOut = false;

  private constructor(
    private readonly stage: Stage,
    private readonly name: string,
    private readonly lease: Lease,
  ) {}

  static async turn(stage: Stage, name: string): Promise<Hourglass> {
    const at = { queue: name };
    await stage.put('glass', undefined, at);
    return new Hourglass(stage, name, await stage.takeOnly('glass', 'A job was put.', at));
  }

  async hasRunOut(): Promise<boolean> {
    if (this.#hasRunOut) return true;
    const [given] = await this.stage.take(1, { queue: this.name });
    this.#hasRunOut = given !== undefined;
    return this.#hasRunOut;
  }

  async runOut(): Promise<void> {
    await this.stage.until(
      () => this.hasRunOut(),
      `A lease that nobody renews has to run out after leaseMs: the contact ${shown(this.lease.contactId)} was taken, and was ` +
        'given to nobody since. So the jobs of a worker that died would wait for ever.',
    );
  }
}
