"""Judging: figures of made films against true ones, and how surely one may believe them.

    pictures   likeness of crops, frame by frame          lips       distances and motion of the lips
    manners    blinks, and how a head moves               figures    all of these, with what each is called
    intervals  means with bounds, and paired tests        resampling what both draw from: blocks of frames

Arrays in, arrays out: nothing is read, nothing is drawn, torch is not needed. Whoever has films brings crops
and landmarks of the same frames of both. Called by `tasks.evaluating`, by pages, and by benchmarks.
"""
