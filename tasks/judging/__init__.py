"""Judging: figures of made films against true ones, and how surely one may believe them.

    pictures   likeness of crops, frame by frame          lips        distances and motion of the lips
    manners    blinks, and how a head moves               figures     all of these, with what each is called
    crops      the same crops of two films, judged        intervals   means with bounds, and paired tests
    told       what is said of several takes              resampling  blocks of frames, drawn again
    nearness   how far off figures near 1 are             judges      networks that the user has
    films      all of these, of films                     published  what papers print of themselves

All but `crops`, `judges` and `films` is arrays in, arrays out: nothing is read, and torch is not needed.
Called by `tasks.evaluating`, by pages, and by benchmarks.
"""
