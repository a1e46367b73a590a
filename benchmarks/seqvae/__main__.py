from benchmarks.seqvae.experiment import main

if __name__ == "__main__":
    main()
